//! `Spread` is what several repetitions of one measurement have shown.

use std::fmt;

/// The median of some figures, with the range in which they lay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    low: f64,
    pub(crate) median: f64,
    high: f64,
}

impl Spread {
    /// Returns `None` if there are no figures.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_unstable_by(f64::total_cmp);
        let middle = figures.len() / 2;
        let (low, high) = (*figures.first()?, *figures.last()?);
        let upper = *figures.get(middle)?;
        let lower = if figures.len() % 2 == 0 { *figures.get(middle - 1)? } else { upper };
        Some(Self { low, median: f64::midpoint(lower, upper), high })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, low, high] = [self.median, self.low, self.high].map(short);
        if low == high { f.write_str(&median) } else { write!(f, "{median} ({low}–{high})") }
    }
}

/// Writes a figure with three digits that mean something, and thousands apart.
fn short(figure: f64) -> String {
    let decimals = match figure.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let plain = format!("{figure:.decimals$}");
    if decimals > 0 || plain.len() < 5 {
        return plain;
    }
    let mut grouped = String::new();
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && (plain.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_shows_its_median_and_its_range() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).unwrap().to_string(), "2.00 (1.00–3.00)");
        assert_eq!(Spread::of([1.0, 2.0]).unwrap().to_string(), "1.50 (1.00–2.00)");
        assert_eq!(Spread::of([7.0]).unwrap().to_string(), "7.00");
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [1.234, 12.34, 123.4, 9876.4, 12345.6, 1_234_567.0].map(short),
            ["1.23", "12.3", "123", "9876", "12,346", "1,234,567"]
        );
    }
}
