//! Resident memory, from the kernel.

/// Bytes of this process in memory now; `None` where the system does not tell (`/proc` is Linux).
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    parse_status(&status)
}

// `status` gives kibibytes, so the page size (which `statm` counts in) need not be known.
fn parse_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status_file() {
        assert_eq!(parse_status("VmPeak:\t 9 kB\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
        assert_eq!(parse_status("VmPeak: 9 kB\n"), None);
        assert_eq!(parse_status("VmRSS: many kB\n"), None);
    }
}
