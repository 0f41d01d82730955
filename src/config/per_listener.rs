//! What is the same for all listeners but for those that have their own.

/// Listeners go by what `--web.listen-address` calls them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PerListener<T> {
    pub all: T,
    /// In the order of the file. A few: searching is faster than hashing.
    pub own: Vec<(String, T)>,
}

impl<T> PerListener<T> {
    /// The same for every listener.
    pub fn same(all: T) -> Self {
        Self { all, own: Vec::new() }
    }

    pub fn of(&self, listener: &str) -> &T {
        self.own_of(listener).unwrap_or(&self.all)
    }

    pub fn own_of(&self, listener: &str) -> Option<&T> {
        self.own.iter().find(|(name, _)| name == listener).map(|(_, own)| own)
    }

    /// Of those that have their own.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.own.iter().map(|(name, _)| name.as_str())
    }

    /// The common one first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.all).chain(self.own.iter().map(|(_, own)| own))
    }

    pub fn as_ref(&self) -> PerListener<&T> {
        let own = self.own.iter().map(|(name, own)| (name.clone(), own)).collect();
        PerListener { all: &self.all, own }
    }

    pub fn map<U>(self, mut turn: impl FnMut(T) -> U) -> PerListener<U> {
        self.map_named(|_, value| turn(value))
    }

    /// With the name of the listener that has its own.
    pub fn map_named<U>(self, mut turn: impl FnMut(Option<&str>, T) -> U) -> PerListener<U> {
        let all = turn(None, self.all);
        let mut own = Vec::with_capacity(self.own.len());
        for (name, value) in self.own {
            let turned = turn(Some(&name), value);
            own.push((name, turned));
        }
        PerListener { all, own }
    }

    /// With what `other` has for each listener of this.
    pub fn zip<'a, U>(&'a self, other: &'a PerListener<U>) -> PerListener<(&'a T, &'a U)> {
        let own = self.own.iter().map(|(name, own)| (name.clone(), (own, other.of(name))));
        PerListener { all: (&self.all, &other.all), own: own.collect() }
    }
}

impl<T, E> PerListener<Result<T, E>> {
    /// The first error, if there is any.
    pub fn transpose(self) -> Result<PerListener<T>, E> {
        let own = self.own.into_iter().map(|(name, own)| Ok((name, own?)));
        Ok(PerListener { all: self.all?, own: own.collect::<Result<_, E>>()? })
    }
}
