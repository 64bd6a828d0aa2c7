//! Under whom PostgreSQL runs. It refuses root, so root hands it to `nobody`.

use std::{
    ffi::OsString,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use nix::unistd::{Gid, Uid, User, chown, geteuid};

use crate::{
    error::{Error, Result},
    tools::Tool,
};

/// How to start a program of PostgreSQL.
#[derive(Debug, Clone)]
pub(super) struct RunAs {
    other: Option<Other>,
}

#[derive(Debug, Clone)]
struct Other {
    setpriv: PathBuf,
    uid: Uid,
    gid: Gid,
    /// A folder on the way is closed to others (a home, a temporary folder), so the right to pass is handed on.
    needs_passage: bool,
}

impl RunAs {
    pub(super) fn for_folders(data: &Path, programs: &Path) -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self { other: None });
        }
        let nobody = User::from_name("nobody").ok().flatten();
        let (uid, gid) = nobody.map_or((Uid::from_raw(65_534), Gid::from_raw(65_534)), |user| (user.uid, user.gid));
        let needs_passage = !is_open(data) || !is_open(programs);
        Ok(Self { other: Some(Other { setpriv: Tool::Setpriv.find()?, uid, gid, needs_passage }) })
    }

    /// Gives a folder to the server's user.
    pub(super) fn own(&self, folder: &Path) -> Result<()> {
        let Some(other) = &self.other else { return Ok(()) };
        chown(folder, Some(other.uid), Some(other.gid))
            .map_err(std::io::Error::from)
            .map_err(Error::file("give to nobody the folder", folder))
    }

    /// What to run for `program`, and the arguments that come first.
    pub(super) fn command(&self, program: &Path) -> (PathBuf, Vec<OsString>) {
        let Some(other) = &self.other else { return (program.to_owned(), Vec::new()) };
        let mut arguments: Vec<OsString> = vec![
            format!("--reuid={}", other.uid).into(),
            format!("--regid={}", other.gid).into(),
            "--clear-groups".into(),
        ];
        if other.needs_passage {
            // Without the last one `access()`, with which initdb looks for its programs, would not count the right.
            let passage = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"];
            arguments.extend(passage.map(OsString::from));
        }
        arguments.push(program.into());
        (other.setpriv.clone(), arguments)
    }
}

/// May anybody pass all folders above `path`?
fn is_open(path: &Path) -> bool {
    path.ancestors().skip(1).all(|above| above.metadata().is_ok_and(|folder| folder.permissions().mode() & 0o001 != 0))
}
