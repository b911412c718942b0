//! Medians and quantiles of a few numbers.

/// The quantile by the nearest rank. NaN of nothing.
pub(crate) fn quantile(numbers: &mut [f64], quantile: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let rank = (numbers.len() as f64 * quantile).ceil() as usize;
    numbers.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// The number in the middle, or the mean of the two there. NaN of nothing.
pub(crate) fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => numbers[count / 2],
        count => f64::midpoint(numbers[count / 2 - 1], numbers[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn a_quantile_is_one_of_the_numbers() {
        let mut numbers: Vec<f64> = (1..=300).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut numbers, 0.99), 297.0);
        assert_eq!(quantile(&mut numbers, 0.5), 150.0);
        assert_eq!(quantile(&mut numbers, 1.0), 300.0);
        assert_eq!(quantile(&mut [7.0], 0.5), 7.0);
    }
}
