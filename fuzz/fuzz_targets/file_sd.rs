#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| exporter_guard_fuzz::file_sd(input));
