//! Values that are the same for all listeners but for those that have their own.

/// A value for all listeners, and others for some of them, by the names that `--web.listen-address`
/// gives them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PerListener<T> {
    /// The value of every listener without one of its own.
    pub all: T,
    /// The names and values of listeners with their own, in the order of the file. They are few:
    /// searching is faster than hashing.
    pub own: Vec<(String, T)>,
}

impl<T> PerListener<T> {
    /// Has the same value for every listener.
    pub fn same(all: T) -> Self {
        Self { all, own: Vec::new() }
    }

    /// Returns the value of a listener.
    pub fn of(&self, listener: &str) -> &T {
        self.own_of(listener).unwrap_or(&self.all)
    }

    /// Returns the value of a listener that has its own.
    pub fn own_of(&self, listener: &str) -> Option<&T> {
        self.own.iter().find(|(name, _)| name == listener).map(|(_, own)| own)
    }

    /// Returns the names of the listeners that have their own.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.own.iter().map(|(name, _)| name.as_str())
    }

    /// Returns each value, the common one first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.all).chain(self.own.iter().map(|(_, own)| own))
    }

    /// Borrows each value.
    pub fn as_ref(&self) -> PerListener<&T> {
        let own = self.own.iter().map(|(name, own)| (name.clone(), own)).collect();
        PerListener { all: &self.all, own }
    }

    /// Converts each value.
    pub fn map<U>(self, mut convert: impl FnMut(T) -> U) -> PerListener<U> {
        self.map_named(|_, value| convert(value))
    }

    /// Converts each value, given the name of the listener if it is its own.
    pub fn map_named<U>(self, mut convert: impl FnMut(Option<&str>, T) -> U) -> PerListener<U> {
        let all = convert(None, self.all);
        let mut own = Vec::with_capacity(self.own.len());
        for (name, value) in self.own {
            let converted = convert(Some(&name), value);
            own.push((name, converted));
        }
        PerListener { all, own }
    }

    /// Pairs each value with the one that `other` has for the same listener.
    pub fn zip<'a, U>(&'a self, other: &'a PerListener<U>) -> PerListener<(&'a T, &'a U)> {
        let own = self.own.iter().map(|(name, own)| (name.clone(), (own, other.of(name))));
        PerListener { all: (&self.all, &other.all), own: own.collect() }
    }
}

impl<T, E> PerListener<Result<T, E>> {
    /// Returns the values, or the first error.
    ///
    /// # Errors
    ///
    /// Returns the first error among the values.
    pub fn transpose(self) -> Result<PerListener<T>, E> {
        let own = self.own.into_iter().map(|(name, own)| Ok((name, own?)));
        Ok(PerListener { all: self.all?, own: own.collect::<Result<_, E>>()? })
    }
}
