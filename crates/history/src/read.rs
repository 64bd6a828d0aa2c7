//! Histories as files: one JSON object a line; a folder is read file by file in the order of their names.

use crate::Line;
use std::{
    io::{BufRead as _, BufReader, Write},
    path::{Path, PathBuf},
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}, line {line}: {source}", path.display())]
    Line { path: PathBuf, line: usize, source: serde_json::Error },
    #[error("{} holds no file whose name ends in .ndjson", path.display())]
    Empty { path: PathBuf },
}

/// All lines of one file.
///
/// # Errors
/// If it cannot be read, or a line is no [`Line`]; the number of the line is named.
pub fn read(path: &Path) -> Result<Vec<Line>, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut lines = Vec::new();
    for (number, text) in (1..).zip(BufReader::new(file).lines()) {
        let text = text.map_err(io)?;
        if text.trim().is_empty() {
            continue;
        }
        let line = serde_json::from_str(&text).map_err(|source| Error::Line {
            path: path.to_owned(),
            line: number,
            source,
        })?;
        lines.push(line);
    }
    Ok(lines)
}

/// All lines of the `*.ndjson` files of a folder.
///
/// # Errors
/// As [`read`]; also if there is no such file.
pub fn read_folder(folder: &Path) -> Result<Vec<Line>, Error> {
    let io = |source| Error::Io { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        files.push(entry.map_err(io)?.path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "ndjson"));
    files.sort();
    if files.is_empty() {
        return Err(Error::Empty { path: folder.to_owned() });
    }
    let mut lines = Vec::new();
    for file in files {
        lines.extend(read(&file)?);
    }
    Ok(lines)
}

/// Writes lines so that [`read`] reads them back.
///
/// # Errors
/// If the writer fails.
pub fn write(lines: &[Line], to: &mut impl Write) -> std::io::Result<()> {
    for line in lines {
        serde_json::to_writer(&mut *to, line)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}
