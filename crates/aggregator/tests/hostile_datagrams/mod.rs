//! Datagrams that nobody should send: random bytes, and good ones that were damaged on purpose.

use rand::{Rng, RngExt as _};

/// What is damaged: every form of both protocols.
const GOOD: [&str; 12] = [
    "cpu{value=30.00, host=Node_1}",
    "ram{value=10000.00, host=Node_2}",
    "dsk{value=0.01, host=a, b=c}}",
    "cpu{value=NaN, host=Node_1}",
    "cpu{value=-30.00, host=Node_1}",
    "cpu{value=999999999999.99, host=\u{4e2d}}",
    "GET_EMITTERS",
    "GET_EMITTERS ",
    "GET_EMITTER Node_1",
    "[Node_1, Node_2, ...]",
    "[cpu: 30.00, ram: 10000.00]",
    "ERROR 1",
];
/// Longer than all that either side takes, by a byte and by much.
const LENGTHS: [usize; 4] = [1024, 1025, 9000, 65_507];
/// Changes to one good datagram.
const CHANGES_MAX: usize = 4;

/// The next one.
pub fn next(rng: &mut impl Rng) -> Vec<u8> {
    match rng.random_range(0..100) {
        // Whole; its host may be a new one.
        0..10 => format!("cpu{{value=1.00, host={}}}", rng.random::<u32>()).into_bytes(),
        10..40 => {
            let length = rng.random_range(0..64);
            random(length, rng)
        }
        40..41 => {
            let length = LENGTHS[rng.random_range(0..LENGTHS.len())];
            random(length, rng)
        }
        41..42 => {
            let mut long = good(rng);
            long.resize(LENGTHS[rng.random_range(0..LENGTHS.len())], b' ');
            long
        }
        _ => {
            let mut damaged = good(rng);
            for _ in 0..rng.random_range(1..=CHANGES_MAX) {
                damage(&mut damaged, rng);
            }
            damaged
        }
    }
}

fn good(rng: &mut impl Rng) -> Vec<u8> {
    GOOD[rng.random_range(0..GOOD.len())].as_bytes().to_vec()
}

fn random(length: usize, rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn damage(datagram: &mut Vec<u8>, rng: &mut impl Rng) {
    let at = rng.random_range(0..=datagram.len());
    match rng.random_range(0..6) {
        0 => datagram.truncate(at),
        1 => datagram.insert(at, rng.random()),
        2 => datagram.insert(at, b", =}{[].-\n\0\x1b"[rng.random_range(0..12)]),
        3 => datagram.extend(good(rng)),
        4 => {
            let tail = datagram.split_off(at);
            datagram.splice(0..0, tail);
        }
        _ => {
            if let Some(byte) = datagram.get_mut(at) {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
    }
}
