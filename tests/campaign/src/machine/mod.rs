//! The campaigns on the real kernel: where the simulation ends, its syscalls and its page cache.
//!
//! They need what a machine may lack: strace, the right to mount, loop devices. Where something is
//! missing a campaign is skipped and says why; where `LEVADA_REQUIRE` lists its name it fails.

mod disk;
pub(crate) mod ext4;
pub(crate) mod failed_sync;
pub(crate) mod points;

use std::{env, process::Command};

use crate::campaign::{Fault, Skipped};

/// Runs a program to its end; what it wrote, if it succeeded.
fn run(command: &mut Command) -> Result<String, Fault> {
    let output = command.output();
    let output = output.map_err(|error| format!("{command:?} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {}", output.status, said.trim()).into())
}

/// The campaign `name` lacks something: a fault where the environment says that it must not.
fn lacks(name: &str, reason: &str) -> Fault {
    let required = env::var("LEVADA_REQUIRE").unwrap_or_default();
    if required.split(',').any(|listed| listed == name) {
        return format!("LEVADA_REQUIRE lists `{name}`: {reason}").into();
    }
    Skipped(reason.to_owned()).into()
}
