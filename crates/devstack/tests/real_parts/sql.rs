//! Just enough of PostgreSQL's protocol for one statement: SQL clients belong to the ledger alone.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Runs statements; returns the first column of all rows. Panics on an error, with the server's words.
pub async fn run(url: &str, statements: &str) -> Vec<String> {
    let address = url.split(['@', '/']).find(|part| part.starts_with("127.0.0.1:")).expect("an address");
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let hello = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    stream.write_i32(hello.len() as i32 + 4).await.expect("sent");
    stream.write_all(hello).await.expect("sent");
    until_idle(&mut stream).await;
    stream.write_u8(b'Q').await.expect("sent");
    stream.write_i32(statements.len() as i32 + 5).await.expect("sent");
    stream.write_all(statements.as_bytes()).await.expect("sent");
    stream.write_u8(0).await.expect("sent");
    until_idle(&mut stream).await
}

/// Reads messages up to "ready for query".
async fn until_idle(stream: &mut TcpStream) -> Vec<String> {
    let mut rows = Vec::new();
    loop {
        let kind = stream.read_u8().await.expect("an answer");
        let length = stream.read_i32().await.expect("a length") - 4;
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).await.expect("a message");
        match kind {
            b'Z' => return rows,
            b'E' => panic!("{}", String::from_utf8_lossy(&body)),
            // A row: number of columns (2 bytes), then length (4 bytes) and text of each.
            b'D' => {
                let length = u32::from_be_bytes([body[2], body[3], body[4], body[5]]) as usize;
                rows.push(String::from_utf8_lossy(&body[6..6 + length]).into_owned());
            }
            _ => {}
        }
    }
}
