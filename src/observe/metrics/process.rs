//! The `process_*` metrics, which every Prometheus client library exports.
//!
//! The threads that serve them may open no file. So the entries of /proc are opened once, before the
//! sandbox; reading them again needs no further right.

use std::fmt;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use rustix::fs::{RawDir, SeekFrom, seek};

use super::family::Family;
use crate::os::limits;

const CPU: Family =
    Family::counter("process_cpu", &[], "CPU time that the guard has used, user and system.")
        .in_unit(Unit::Seconds);
const OPEN_FDS: Family = Family::gauge("process_open_fds", &[], "Open file descriptors.");
const MAX_FDS: Family = Family::gauge(
    "process_max_fds",
    &[],
    "Limit of open file descriptors, which the guard raises.",
);
const VIRTUAL: Family =
    Family::gauge("process_virtual_memory", &[], "Size of the address space.").in_unit(Unit::Bytes);
const RESIDENT: Family =
    Family::gauge("process_resident_memory", &[], "Memory that is in use.").in_unit(Unit::Bytes);
const START: Family =
    Family::gauge("process_start_time", &[], "When the guard was started, since the epoch.")
        .in_unit(Unit::Seconds);

/// The families of this module.
pub const FAMILIES: [&Family; 6] = [&CPU, &OPEN_FDS, &MAX_FDS, &VIRTUAL, &RESIDENT, &START];

/// The most bytes of `/proc/self/stat` (proc(5)): 52 numbers and a name of 16 bytes.
const MAX_STAT: usize = 2048;

/// The bytes of directory entries that are read at a time.
const DIRECTORY_BUFFER: usize = 4096;

/// The entries of /proc for this process, open. One that could not be opened has no metrics.
#[derive(Debug)]
pub struct ProcessMetrics {
    stat: Option<File>,
    /// Locked, since reading a directory moves its position.
    descriptors: Mutex<Option<File>>,
    /// The time of the start of the system, in seconds since the epoch.
    boot_time: Option<f64>,
}

/// The fields of `/proc/self/stat` that are exported, in its units.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl ProcessMetrics {
    /// Opens the entries. To be called before the thread enters a sandbox.
    pub fn open() -> Self {
        Self {
            stat: File::open("/proc/self/stat").ok(),
            descriptors: Mutex::new(File::open("/proc/self/fd").ok()),
            boot_time: boot_time(),
        }
    }

    fn stat(&self) -> Option<Stat> {
        let mut text = [0; MAX_STAT];
        let length = self.stat.as_ref()?.read_at(&mut text, 0).ok()?;
        Stat::parse(std::str::from_utf8(text.get(..length)?).ok()?)
    }

    fn open_descriptors(&self) -> Option<u64> {
        let directory = self.descriptors.lock();
        let directory = directory.as_ref()?;
        seek(directory, SeekFrom::Start(0)).ok()?;
        let mut buffer = [MaybeUninit::uninit(); DIRECTORY_BUFFER];
        let mut entries = RawDir::new(directory, &mut buffer);
        let mut count = 0;
        while let Some(entry) = entries.next() {
            let is_descriptor = !entry.ok()?.file_name().to_bytes().starts_with(b".");
            count += u64::from(is_descriptor);
        }
        Some(count)
    }
}

impl Stat {
    /// Parses the line. The name of the program, in parentheses, may hold anything.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(')')?;
        // The first field after the name is the third of proc(5).
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

fn boot_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.parse().ok())
}

#[allow(clippy::cast_precision_loss, reason = "exact up to 2^53: a float is what metrics are")]
fn float(value: u64) -> f64 {
    value as f64
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let encoder = &mut encoder;
        let gauge = |value: u64| ConstGauge::new(float(value));
        if let Some(stat) = self.stat() {
            let seconds = |ticks| float(ticks) / float(rustix::param::clock_ticks_per_second());
            CPU.write_one(encoder, &ConstCounter::new(seconds(stat.cpu_ticks)))?;
            VIRTUAL.write_one(encoder, &gauge(stat.virtual_bytes))?;
            let page = u64::try_from(rustix::param::page_size()).unwrap_or_default();
            RESIDENT.write_one(encoder, &gauge(stat.resident_pages.saturating_mul(page)))?;
            if let Some(boot) = self.boot_time {
                START.write_one(encoder, &ConstGauge::new(boot + seconds(stat.start_ticks)))?;
            }
        }
        if let Some(count) = self.open_descriptors() {
            OPEN_FDS.write_one(encoder, &gauge(count))?;
        }
        match limits::get(limits::OPEN_FILES) {
            // No limit is shown as infinity.
            Ok(limit) if limit.rlim_cur == libc::RLIM_INFINITY => {
                MAX_FDS.write_one(encoder, &ConstGauge::new(f64::INFINITY))
            }
            Ok(limit) => MAX_FDS.write_one(encoder, &gauge(limit.rlim_cur)),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_moves_no_field() {
        let line = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 100 20 0 0 20 0 3 0 5000 4096 12 1 1";
        let stat =
            Stat { cpu_ticks: 120, start_ticks: 5000, virtual_bytes: 4096, resident_pages: 12 };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn every_descriptor_counts_each_time() {
        let process = ProcessMetrics::open();
        let before = process.open_descriptors().expect("an entry of /proc");
        let files: Vec<File> = (0..300).map(|_| File::open("/dev/null").unwrap()).collect();
        // Other tests of this program open and close files at the same time.
        assert!(process.open_descriptors().expect("an entry of /proc") >= before + 200);
        drop(files);
    }
}
