//! Places of its own for a test: a folder that goes away, ports that nobody listens on, and the real data where it is found.

use std::{
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// Set to anything to keep the folders of failed and passed tests for a look.
const KEEP: &str = "THROUGHLINE_KEEP";
/// Where the real data lies; without it, `../shared` beside the workspace is looked at.
const SHARED: &str = "THROUGHLINE_SHARED";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder that is removed when the value is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh folder in the system's temporary one; `name` makes it recognisable.
    pub fn try_new(name: &str) -> io::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("throughline-{name}-{}-{number}", std::process::id()));
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os(KEEP).is_some() {
            eprintln!("kept {}", self.0.display());
            return;
        }
        // A folder that cannot be removed must not fail the test that used it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `N` different loopback ports that were free a moment ago. For programs that cannot bind port 0 themselves; those that
/// can, should.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    // All are held until the last is known, or the system might give one twice.
    let held: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<io::Result<_>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A file of the shared data, if it is on this machine.
#[must_use]
pub fn shared_data(file: &str) -> Option<PathBuf> {
    let shared = std::env::var_os(SHARED).map_or_else(|| workspace().join("../shared"), PathBuf::from);
    let path = shared.join("data").join(file);
    path.is_file().then_some(path)
}

/// The whole real file, where it is on this machine.
#[must_use]
pub fn online_retail_file() -> Option<PathBuf> {
    shared_data("online-retail/invoices-2010-12-to-2011-06.csv.xz")
}

/// The slice of the real file that every clone has.
#[must_use]
pub fn online_retail_slice() -> PathBuf {
    workspace().join("tests/data/online-retail-slice.csv.xz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_goes_away_with_its_owner() {
        let scratch = Scratch::try_new("scratch").expect("temporary folder");
        std::fs::write(scratch.join("file"), b"x").expect("write");
        let path = scratch.path().to_path_buf();
        drop(scratch);
        assert!(!path.exists() || std::env::var_os(KEEP).is_some());
    }

    #[test]
    fn free_ports_differ() {
        let [a, b, c] = free_ports().expect("loopback");
        assert!(a != b && b != c && a != c && a != 0);
    }
}
