//! Programs of the machine that the dev stack needs, and what installs them.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};

/// Something that is not on this machine, and the command that puts it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    pub what: String,
    pub install: String,
}

impl From<Missing> for Error {
    fn from(Missing { what, install }: Missing) -> Self {
        Self::Missing { what, install }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Java,
    Maven,
    Tar,
    Xz,
    Setpriv,
}

impl Tool {
    const fn program(self) -> &'static str {
        match self {
            Self::Java => "java",
            Self::Maven => "mvn",
            Self::Tar => "tar",
            Self::Xz => "xz",
            Self::Setpriv => "setpriv",
        }
    }

    fn missing(self) -> Missing {
        let (what, debian, others) = match self {
            Self::Java => ("java 17 or later (for Apache Kafka)", "openjdk-17-jre-headless", "openjdk"),
            Self::Maven => ("mvn (downloads Apache Kafka and PostgreSQL once)", "maven", "maven"),
            Self::Tar => ("tar (unpacks PostgreSQL)", "tar", "gnu-tar"),
            Self::Xz => ("xz (unpacks PostgreSQL)", "xz-utils", "xz"),
            Self::Setpriv => ("setpriv (PostgreSQL does not run as root)", "util-linux", "util-linux"),
        };
        let install = if cfg!(target_os = "macos") {
            format!("brew install {others}")
        } else {
            format!("apt-get install -y {debian}")
        };
        Missing { what: what.to_owned(), install }
    }

    /// The program's path, or an error that says how to get it.
    pub(crate) fn find(self) -> Result<PathBuf> {
        let of_java_home = || {
            let java = PathBuf::from(std::env::var_os("JAVA_HOME")?).join("bin/java");
            (self == Self::Java && is_program(&java)).then_some(java)
        };
        of_java_home().or_else(|| on_path(self.program())).ok_or_else(|| self.missing().into())
    }
}

/// A program on the PATH.
#[must_use]
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| is_program(file))
}

pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// What a stack of real parts (`throughline up`) lacks here. Empty means: it will start.
/// The embedded kind needs nothing.
#[must_use]
pub fn missing() -> Vec<Missing> {
    let has_kafka = crate::kafka_broker::is_downloaded();
    let has_postgres = crate::postgres::is_installed();
    let mut needed = vec![Tool::Java];
    if !has_kafka || !has_postgres {
        needed.push(Tool::Maven);
    }
    if !has_postgres {
        needed.extend([Tool::Tar, Tool::Xz]);
    }
    if nix::unistd::geteuid().is_root() {
        needed.push(Tool::Setpriv);
    }
    needed.into_iter().filter(|tool| tool.find().is_err()).map(Tool::missing).collect()
}
