//! Children whose supervisor was killed before it could write their pids down.
//!
//! Every child carries the path of its log in its environment, so those of one data folder can be told from all other
//! processes of the machine, whatever they are called.

use std::path::Path;

use super::Identity;

/// The variable that carries the log's path.
pub(super) const MARK: &str = "DEVSTACK_LOG";

/// Processes that were started with a log below `folder` (absolute). Empty where the system does not show environments.
#[must_use]
pub fn leftovers(folder: &Path) -> Vec<Identity> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter(|pid| *pid != std::process::id() && is_ours(*pid, folder))
        .filter_map(|pid| Identity::of(pid).ok())
        .filter(Identity::is_alive)
        .collect()
}

fn is_ours(pid: u32, folder: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Ok(environment) = std::fs::read(format!("/proc/{pid}/environ")) else { return false };
    let mut variables = environment.split(|byte| *byte == 0);
    let log = variables.find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="));
    log.is_some_and(|log| Path::new(std::ffi::OsStr::from_bytes(log)).starts_with(folder))
}
