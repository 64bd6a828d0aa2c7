//! Does the broker serve metadata? One request on the wire, without a client library: an open port alone says little.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Metadata, version 4, for no topics: key, version, correlation id, no client id, an empty list, no auto-create.
const REQUEST: [u8; 15] = [0, 3, 0, 4, 0, 0, 0, 1, 0xFF, 0xFF, 0, 0, 0, 0, 0];
/// Correlation id, throttle time, number of brokers.
const HEAD: usize = 12;
const MOST_WAIT: Duration = Duration::from_secs(2);

/// True once the broker answers and counts at least itself.
pub(super) async fn serves_metadata(port: u16) -> bool {
    let asked = tokio::time::timeout(MOST_WAIT, brokers(port)).await;
    matches!(asked, Ok(Ok(count)) if count > 0)
}

async fn brokers(port: u16) -> io::Result<i32> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_i32(REQUEST.len() as i32).await?;
    stream.write_all(&REQUEST).await?;
    let length = stream.read_i32().await?;
    if (length as usize) < HEAD {
        return Err(io::ErrorKind::InvalidData.into());
    }
    stream.read_i64().await?;
    stream.read_i32().await
}
