//! How many connections there may be, in all and from one address, and how many HTTP/2 streams.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::source::Source;

/// The connections that are open.
#[derive(Debug, Default)]
pub struct Admission(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_source: HashMap<Source, OfSource>,
}

#[derive(Debug, Default)]
struct OfSource {
    connections: usize,
    /// Some outlive their connection for a while.
    streams: usize,
}

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub total: usize,
    pub per_source: usize,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    Total,
    Source,
}

impl Full {
    /// As the log and the metrics name it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Total => "too many connections",
            Self::Source => "too many connections from one address",
        }
    }
}

/// One open connection, for as long as it or a stream of it lives.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    /// `None` while it is not known who the client is.
    source: Option<Source>,
}

/// One open stream, for as long as it lives.
#[derive(Debug)]
pub struct StreamPlace {
    admission: Arc<Admission>,
    source: Source,
}

impl Admission {
    pub fn admit(self: &Arc<Self>, source: Source, room: Room) -> Result<Place, Full> {
        let mut place = self.admit_anyone(room)?;
        place.take_for(source, room)?;
        Ok(place)
    }

    /// A place for somebody who is yet to say who it is.
    pub fn admit_anyone(self: &Arc<Self>, room: Room) -> Result<Place, Full> {
        let mut open = self.lock();
        if open.total >= room.total {
            return Err(Full::Total);
        }
        open.total += 1;
        Ok(Place { admission: Arc::clone(self), source: None })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn leave(&mut self, source: Source, leave: impl FnOnce(&mut OfSource)) {
        let Some(of_source) = self.by_source.get_mut(&source) else { return };
        leave(of_source);
        if of_source.connections == 0 && of_source.streams == 0 {
            self.by_source.remove(&source);
        }
    }
}

impl Place {
    /// Now that it is known who takes it.
    pub fn take_for(&mut self, source: Source, room: Room) -> Result<(), Full> {
        let mut open = self.admission.lock();
        let taken = open.by_source.get(&source).map_or(0, |of_source| of_source.connections);
        if taken >= room.per_source {
            return Err(Full::Source);
        }
        open.by_source.entry(source).or_default().connections += 1;
        self.source = Some(source);
        Ok(())
    }

    /// Whom it is for; a unix socket's clients are one.
    pub fn source(&self) -> Source {
        self.source.unwrap_or(Source::Local)
    }

    /// `None`: the source has so many streams already.
    pub fn begin_stream(&self, most: usize) -> Option<StreamPlace> {
        let source = self.source();
        let mut open = self.admission.lock();
        let of_source = open.by_source.entry(source).or_default();
        if of_source.streams >= most {
            return None;
        }
        of_source.streams += 1;
        Some(StreamPlace { admission: Arc::clone(&self.admission), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.lock();
        open.total -= 1;
        if let Some(source) = self.source {
            open.leave(source, |of_source| of_source.connections -= 1);
        }
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.admission.lock().leave(self.source, |of_source| of_source.streams -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_source_and_in_all_and_forgets_who_left() {
        let admission = Arc::new(Admission::default());
        let room = Room { total: 3, per_source: 2 };
        let [a, b] = [Source::V6(1), Source::V6(2)];
        let places = [admission.admit(a, room), admission.admit(a, room)];
        assert!(places.iter().all(Result::is_ok));
        assert_eq!(admission.admit(a, room).err(), Some(Full::Source));
        let other = admission.admit(b, room);
        assert!(other.is_ok());
        assert_eq!(admission.admit(b, room).err(), Some(Full::Total));
        drop(places);
        assert!(admission.admit(a, room).is_ok());
        drop(other);
        let open = admission.0.lock().unwrap();
        assert_eq!((open.total, open.by_source.len()), (0, 0));
    }

    #[test]
    fn streams_are_counted_by_source_and_outlive_their_connection() {
        let admission = Arc::new(Admission::default());
        let room = Room { total: 9, per_source: 9 };
        let admit = |source| admission.admit(Source::V6(source), room).expect("room");
        let (first, second, other) = (admit(1), admit(1), admit(2));
        let streams = [first.begin_stream(2), second.begin_stream(2)];
        assert!(streams.iter().all(Option::is_some));
        assert!(second.begin_stream(2).is_none());
        assert!(other.begin_stream(2).is_some(), "of another source");
        drop((first, second));
        assert!(admit(1).begin_stream(2).is_none(), "their streams go on");
        drop(streams);
        assert!(admit(1).begin_stream(2).is_some());
        drop(other);
        let open = admission.0.lock().unwrap();
        assert_eq!((open.total, open.by_source.len()), (0, 0));
    }
}
