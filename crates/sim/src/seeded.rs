//! Numbers that look random and are pure functions of their arguments: the same seed gives the same fleet, on any
//! machine, in any order of evaluation.

/// Mixes all bits of `value` (the finaliser of SplitMix64, Steele et al. 2014).
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A hash of several numbers; their order matters.
pub fn hash<const N: usize>(parts: [u64; N]) -> u64 {
    parts
        .into_iter()
        .fold(0, |state, part| mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(part ^ 0x5851_f42d_4c95_7f2d)))
}

/// A hash of bytes; not for keys that an enemy chooses.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let chunk = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    bytes.chunks(8).fold(mix(bytes.len() as u64 + 1), |state, part| hash([state, chunk(part)]))
}

/// A number in [0, 1) from a hash.
pub fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// A number in [low, high) from a hash.
pub fn between(hash: u64, low: f64, high: f64) -> f64 {
    low + unit(hash) * (high - low)
}

/// White noise at instant `at`: about normal with deviation 1, never beyond 3.5 (the sum of four uniform numbers).
pub fn noise(seed: u64, at: i64) -> f64 {
    let bits = hash([seed, at as u64]);
    let sum: f64 = (0..4).map(|part| ((bits >> (16 * part)) & 0xffff) as f64 / 65_536.0).sum();
    (sum - 2.0) * 3f64.sqrt()
}

/// A smooth wander in [-1, 1] that takes about `period` to change its mind: cosine interpolation between random points.
pub fn wander(seed: u64, at: i64, period: i64) -> f64 {
    let (slot, within) = (at.div_euclid(period), at.rem_euclid(period));
    let point = |slot: i64| between(hash([seed, slot as u64]), -1.0, 1.0);
    let share = (1.0 - (std::f64::consts::PI * within as f64 / period as f64).cos()) / 2.0;
    point(slot) * (1.0 - share) + point(slot + 1) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_arguments_give_the_same_number() {
        assert_eq!(hash([1, 2]), hash([1, 2]));
        assert_ne!(hash([1, 2]), hash([2, 1]));
        assert_ne!(hash([0, 0]), hash([0]));
        assert_eq!(noise(7, -5).to_bits(), noise(7, -5).to_bits());
    }

    #[test]
    fn noise_is_centred_and_bounded() {
        let values: Vec<f64> = (0..20_000).map(|at| noise(3, at)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.05, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
        assert!(values.iter().all(|value| value.abs() <= 3.5));
    }

    #[test]
    fn wander_is_continuous_and_stays_within_one() {
        let values: Vec<f64> = (-5_000..5_000).map(|at| wander(9, at, 1_000)).collect();
        assert!(values.iter().all(|value| value.abs() <= 1.0));
        let jump = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
        assert!(jump < 0.005, "{jump}");
    }
}
