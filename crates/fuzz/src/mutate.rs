//! Small changes to bytes, such as strangers and broken disks make.

use rand::{Rng, seq::IndexedRandom as _};

/// Longer inputs only cost time; limits on size have tests of their own.
const MOST: usize = 1 << 14;
/// Values at which lengths, counts and numbers turn over, as zigzag varints and as plain bytes.
const EDGES: [&[u8]; 8] = [
    &[0],
    &[1],
    &[0x7F],
    &[0x80, 0x01],
    &[0xFF],
    &[0xFE, 0xFF, 0xFF, 0xFF, 0x0F],
    &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
    &[0xFF; 11],
];

/// One input, changed in one to eight places.
pub fn mutate(rng: &mut impl Rng, input: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..1 << rng.random_range(0..4_u32) {
        change(rng, &mut bytes, other, words);
    }
    bytes.truncate(MOST);
    bytes
}

fn change(rng: &mut impl Rng, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    let at = rng.random_range(0..=bytes.len());
    let length = rng.random_range(0..=(bytes.len() - at).min(16));
    match rng.random_range(0..8) {
        0 => flip(rng, bytes),
        1 => drop(bytes.drain(at..at + length)),
        2 => {
            let copy = bytes[at..at + length].to_vec();
            put(bytes, at, 0, &copy);
        }
        3 => put(bytes, at, length.min(10), EDGES.choose(rng).copied().unwrap_or_default()),
        4 if !words.is_empty() => put(bytes, at, length, words.choose(rng).copied().unwrap_or_default().as_bytes()),
        5 if !other.is_empty() => {
            let from = rng.random_range(0..other.len());
            let to = (from + rng.random_range(1..64)).min(other.len());
            put(bytes, at, length, &other[from..to]);
        }
        6 => bytes.truncate(at),
        _ => {
            let byte = rng.random();
            put(bytes, at, 0, &[byte]);
        }
    }
}

fn flip(rng: &mut impl Rng, bytes: &mut [u8]) {
    if !bytes.is_empty() {
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8_u32);
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, over: usize, new: &[u8]) {
    let end = (at + over).min(bytes.len());
    bytes.splice(at..end, new.iter().copied());
}
