//! Shares that add up to the unit: largest remainder, for tax, allocations and schedules alike.

/// Shares of `total` by weight that add up to it: rounded towards zero, the rest to the largest remainders. Without any weight
/// all of it goes to the first.
pub(super) fn largest_remainder(total: i64, weights: &[u64]) -> Vec<i64> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let mut shares = vec![0_i64; weights.len()];
    if sum == 0 {
        if let Some(first) = shares.first_mut() {
            *first = total;
        }
        return shares;
    }
    let size = u128::from(total.unsigned_abs());
    let mut given = 0;
    let mut remainders = Vec::with_capacity(weights.len());
    for (index, weight) in weights.iter().enumerate() {
        let exact = size * u128::from(*weight);
        let share = exact / sum;
        given += share;
        shares[index] = i64::try_from(share).unwrap_or(i64::MAX);
        remainders.push((exact % sum, index));
    }
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let left = usize::try_from(size - given).unwrap_or(0);
    for (_, index) in remainders.into_iter().take(left) {
        shares[index] += 1;
    }
    if total < 0 {
        shares.iter_mut().for_each(|share| *share = -*share);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_fair_to_the_unit() {
        assert_eq!(largest_remainder(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(largest_remainder(-5, &[1, 1]), [-3, -2]);
        assert_eq!(largest_remainder(7, &[0, 0]), [7, 0]);
        assert_eq!(largest_remainder(7, &[0, 3]), [0, 7]);
    }

    proptest! {
        #[test]
        fn shares_always_add_up(total: i32, weights in prop::collection::vec(0u64..1 << 60, 1..50)) {
            let shares = largest_remainder(i64::from(total), &weights);
            prop_assert_eq!(shares.iter().sum::<i64>(), i64::from(total));
        }
    }
}
