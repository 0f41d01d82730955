//! A program at a terminal of its own, and what is typed there.

use std::fs::File;
use std::io::{Read, Write};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::process::eventually;

pub struct Terminal {
    child: Child,
    master: File,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    pub fn spawn(mut command: Command) -> Self {
        let (master, slave) = open();
        let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
        command.stdin(end()).stdout(end()).stderr(end());
        // SAFETY: both calls are async-signal-safe (signal-safety(7)), as pre_exec wants it.
        unsafe {
            command.pre_exec(|| {
                // The terminal on stdin becomes the controlling one, which is what /dev/tty opens.
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("the program");
        // Our copies of the program's end: the last one closed ends the screen.
        drop((command, slave));
        let master = File::from(master);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut output, shown) = (master.try_clone().expect("a descriptor"), Arc::clone(&screen));
        let reader = thread::spawn(move || {
            let mut chunk = [0; 1024];
            // The end is an error, EIO, on Linux.
            while let Ok(n) = output.read(&mut chunk) {
                shown.lock().unwrap().extend(&chunk[..n]);
            }
        });
        Self { child, master, screen, reader: Some(reader) }
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Type a line when this many lines have been shown and the program has turned the echo off.
    #[track_caller]
    pub fn type_unseen(&mut self, line: &str, prompts: usize) {
        let shown = |screen: String| screen.lines().filter(|line| !line.trim().is_empty()).count();
        eventually("a prompt without echo", || shown(self.screen()) >= prompts && !self.echoes());
        writeln!(self.master, "{line}").expect("an open terminal");
    }

    fn echoes(&self) -> bool {
        // SAFETY: termios is plain integers; the call fills it in for a descriptor that is open.
        let settings = unsafe {
            let mut settings: libc::termios = mem::zeroed();
            assert_eq!(libc::tcgetattr(self.master.as_raw_fd(), &mut settings), 0);
            settings
        };
        settings.c_lflag & libc::ECHO != 0
    }

    /// Everything on the screen, when the program has ended.
    pub fn finish(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("an own child");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the screen");
        }
        (status, self.screen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    // SAFETY: the two integers are filled in; name, settings and size may be null.
    unsafe {
        let null = std::ptr::null_mut();
        let opened = libc::openpty(&mut master, &mut slave, null, null.cast(), null.cast());
        assert_eq!(opened, 0, "openpty: {}", std::io::Error::last_os_error());
        (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}
