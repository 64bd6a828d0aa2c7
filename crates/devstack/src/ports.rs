//! Free loopback ports that stay the same over restarts.
//!
//! They are taken below the range from which systems give out ports by themselves: a client that tries a dead server
//! of that range again and again may end up connected to itself, and then the server cannot come back.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::{
    error::{Error, Result},
    process::write_atomically,
};

const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;
/// Ports this process gave out already, though nobody may listen on them yet.
static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());

/// A port nobody listens on.
pub fn free() -> Result<u16> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let span = LAST - FIRST + 1;
    let start = (uuid::Uuid::new_v4().as_u128() % u128::from(span)) as u16;
    let found =
        (0..span).map(|step| FIRST + (start + step) % span).find(|port| !given.contains(port) && is_free(*port));
    let port = found.ok_or(Error::NoPort(FIRST, LAST))?;
    given.push(port);
    Ok(port)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The ports of `names`, as remembered in `folder/ports.json` or new ones where those are taken now.
pub fn remembered<const N: usize>(folder: &Path, names: [&str; N]) -> Result<[u16; N]> {
    let path = folder.join("ports.json");
    let mut known: BTreeMap<String, u16> =
        std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut ports = [0; N];
    for (port, name) in ports.iter_mut().zip(names) {
        *port = match known.get(name) {
            Some(port) if is_free(*port) => *port,
            Some(_) | None => free()?,
        };
    }
    known.extend(names.map(str::to_owned).into_iter().zip(ports));
    write_atomically(&path, &serde_json::to_vec(&known).expect("names and numbers become JSON"))?;
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_kept_unless_somebody_took_it() {
        let folder = tempfile::tempdir().expect("temp dir");
        let first = remembered(folder.path(), ["a", "b"]).expect("ports");
        assert_ne!(first[0], first[1]);
        assert_eq!(remembered(folder.path(), ["a", "b"]).expect("ports"), first);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first[0])).expect("free");
        let second = remembered(folder.path(), ["a", "b"]).expect("ports");
        assert_ne!(second[0], first[0]);
        assert_eq!(second[1], first[1]);
    }
}
