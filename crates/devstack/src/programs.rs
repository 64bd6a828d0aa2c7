//! Where our own binaries are: beside the running one. Tests run one folder deeper.

use std::path::{Path, PathBuf};

use crate::{
    error::{Error, Result},
    tools::is_program,
};

/// The first of `names` that is there; `folder` is looked at instead of the usual places if it is given.
pub(crate) fn find(names: &[&str], package: &str, folder: Option<&Path>) -> Result<PathBuf> {
    let folders = folder.map_or_else(usual, |folder| vec![folder.to_owned()]);
    let found =
        folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name))).find(|path| is_program(path));
    found.ok_or_else(|| {
        let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let (program, package) = (names.first().copied().unwrap_or_default().to_owned(), package.to_owned());
        Error::NoProgram { program, package, looked: looked.join(", ") }
    })
}

fn usual() -> Vec<PathBuf> {
    let own = std::env::current_exe().and_then(|own| own.canonicalize()).unwrap_or_default();
    own.ancestors().skip(1).take(2).map(Path::to_owned).collect()
}
