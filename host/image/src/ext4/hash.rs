//! The hash of names that directories are ordered by: MD4 cut down to half of its input, `half_md4` of Linux.
//!
//! Bytes beyond ASCII count as unsigned, whatever they are on the processor: the superblock says so.

/// What MD4 begins with (RFC 1320, section 3.3), and the hash if the filesystem has no seed of its own.
const START: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];

/// Bytes of a name that are mixed in at once: eight words.
const CHUNK: usize = 32;

/// The largest hash stands for the end of a directory; what would have it has the one before.
const END: u32 = 0xFFFF_FFFE;

/// The hash of a name. Its lowest bit is always 0: an index uses it to say that a hash began in the block before.
pub(super) fn half_md4(name: &[u8], seed: &[u8; 16]) -> u32 {
    let mut state = START;
    if seed != &[0; 16] {
        let (words, _) = seed.as_chunks();
        state = std::array::from_fn(|n| u32::from_le_bytes(words[n]));
    }
    let mut rest = name;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(CHUNK.min(rest.len()));
        mix(&mut state, &words_of(chunk, rest.len()));
        rest = after;
    }
    match state[1] & !1 {
        END => END - 2,
        hash => hash,
    }
}

/// Big-endian words. What the chunk does not fill has the length of the rest of the name in every byte.
fn words_of(chunk: &[u8], length: usize) -> [u32; 8] {
    let fill = length as u32 & 0xFF;
    let mut words = [fill * 0x0101_0101; 8];
    for (word, bytes) in words.iter_mut().zip(chunk.chunks(4)) {
        for &byte in bytes {
            *word = (*word << 8) | u32::from(byte);
        }
    }
    words
}

/// The rounds of MD4 (RFC 1320, section 3.4), each over eight words in an order of its own.
fn mix(state: &mut [u32; 4], words: &[u32; 8]) {
    type Function = fn(u32, u32, u32) -> u32;
    let rounds: [(Function, u32, [usize; 8], [u32; 4]); 3] = [
        (
            |x, y, z| (x & y) | (!x & z),
            0,
            [0, 1, 2, 3, 4, 5, 6, 7],
            [3, 7, 11, 19],
        ),
        (
            |x, y, z| (x & y) | (x & z) | (y & z),
            0x5A82_7999,
            [1, 3, 5, 7, 0, 2, 4, 6],
            [3, 5, 9, 13],
        ),
        (
            |x, y, z| x ^ y ^ z,
            0x6ED9_EBA1,
            [3, 7, 2, 6, 1, 5, 0, 4],
            [3, 9, 11, 15],
        ),
    ];
    let [mut a, mut b, mut c, mut d] = *state;
    for (function, constant, order, shifts) in rounds {
        for (&word, &shift) in order.iter().zip(shifts.iter().cycle()) {
            let sum = a
                .wrapping_add(function(b, c, d))
                .wrapping_add(words[word])
                .wrapping_add(constant);
            (a, b, c, d) = (d, sum.rotate_left(shift), b, c);
        }
    }
    for (old, new) in state.iter_mut().zip([a, b, c, d]) {
        *old = old.wrapping_add(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_hashes_that_debugfs_computes() {
        let check = |name: &str, seed: &[u8; 16], expected: u32| {
            let hash = half_md4(name.as_bytes(), seed);
            assert_eq!(hash, expected, "{name}: {hash:x}");
        };
        // debugfs -R "dx_hash -h half_md4 -s SEED NAME"
        let none = [0; 16];
        let seed = b"fedcba9876543210";
        let long = "01234567890123456789012345678901234567890123456789";
        check("a", &none, 0xd5fa_7d7a);
        check("abcd", &none, 0xad75_57a8);
        check(long, &none, 0x95ec_ce2a);
        check("a", seed, 0x54ec_c132);
        check("abcd", seed, 0x5c06_7cec);
        check(long, seed, 0xabde_88a2);
    }
}
