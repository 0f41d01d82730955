//! Writes the manual pages and the shell completions, generated from the command line:
//! `cargo run --example manual -- DIRECTORY`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use exporter_guard::cli::Cli;

const NAME: &str = "exporter-guard";

/// The sections after the options in the page of the program itself, in man(7).
const MORE_SECTIONS: &str = r#".SH EXIT STATUS
0 when all is well, 1 when something failed, 2 for wrong usage. With a \fICOMMAND\fR, its exit
status, or 128 and the number of the signal that ended it; 126 and 127 when it could not be run or
was not found.
.SH SIGNALS
.TP
.B SIGTERM
Finish what runs, then exit. A second one, or SIGINT, ends the wait.
.TP
.B SIGINT
Exit at once.
.TP
.B SIGHUP
Read the web configuration again. It is also read when it changes.
.SH ENVIRONMENT
Each option has a variable: \fB\-\-web.config.file\fR is \fBEXPORTER_GUARD_WEB_CONFIG_FILE\fR. The
option counts if both are there.
.SH FILES
.TP
.I /etc/exporter\-guard/web.yml
The web configuration that the systemd service uses. \fBexporter\-guard init\fR makes one.
.TP
.I /etc/default/exporter\-guard
Variables of the systemd service.
.TP
.I /usr/share/doc/exporter\-guard/examples
Commented configurations and units.
.SH EXAMPLES
From nothing to a guarded page:
.PP
.nf
.RS
exporter\-guard quickstart
.RE
.fi
.PP
In front of node_exporter:
.PP
.nf
.RS
exporter\-guard init \-\-directory /etc/exporter\-guard
exporter\-guard \-\-web.config.file=/etc/exporter\-guard/web.yml \-\-upstream=http://127.0.0.1:9100
.RE
.fi
.PP
As the entrypoint of a container:
.PP
.nf
.RS
exporter\-guard \-\-web.config.file=web.yml \-\- node_exporter \-\-web.listen\-address=127.0.0.1:9100
.RE
.fi
"#;

fn main() -> io::Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("usage: manual DIRECTORY"))?;
    fs::create_dir_all(&directory)?;
    let mut command = Cli::command();
    command.build();
    write_pages(&command, &directory)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, NAME, &directory)?;
    }
    Ok(())
}

/// Writes one page for the program and one for each subcommand.
fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    let subcommands: Vec<&Command> =
        command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    let names = subcommands.iter().map(|sub| format!(".BR {NAME}-{} (1)", sub.get_name()));
    let names = names.collect::<Vec<_>>().join(",\n").replace('-', "\\-");
    let mut page = fs::File::create(directory.join(format!("{NAME}.1")))?;
    Man::new(command.clone()).render(&mut page)?;
    write!(page, "{MORE_SECTIONS}.SH SEE ALSO\n{names}\n")?;
    for subcommand in subcommands {
        let name = format!("{NAME}-{}", subcommand.get_name());
        let mut page = fs::File::create(directory.join(format!("{name}.1")))?;
        Man::new(subcommand.clone()).render(&mut page)?;
        write!(page, ".SH SEE ALSO\n.BR exporter\\-guard (1)\n")?;
    }
    Ok(())
}
