//! The pause before something that failed is tried again.

use std::time::Duration;

/// The most that the first pause may take.
const FIRST: Duration = Duration::from_millis(50);
/// The most that any pause may take.
const LONGEST: Duration = Duration::from_secs(2);
/// The longest that a server may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(30);

/// A random pause after so many failures in a row: anything from nothing to a bound that doubles.
///
/// Whoever failed together then comes back spread out (full jitter), and not as one crowd.
pub(crate) fn pause(failures: u32) -> Duration {
    let most = bound(failures);
    most.mul_f64(fastrand::f64())
}

fn bound(failures: u32) -> Duration {
    // Seven doublings are beyond the longest.
    LONGEST.min(FIRST.saturating_mul(1 << failures.saturating_sub(1).min(7)))
}

/// Reads `Retry-After` in its form of seconds; a server that asks for more is asked again sooner.
pub(crate) fn wish(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WISH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest() {
        let all: Vec<_> = (1..9).map(|failures| bound(failures).as_millis()).collect();
        assert_eq!(all, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(bound(u32::MAX), LONGEST);
    }

    #[test]
    fn pauses_are_anywhere_below_the_bound() {
        let all: Vec<_> = (0..1000).map(|_| pause(3)).collect();
        assert!(all.iter().all(|pause| *pause <= bound(3)));
        assert!(all.iter().any(|pause| *pause < bound(3) / 4));
        assert!(all.iter().any(|pause| *pause > bound(3) * 3 / 4));
    }

    #[test]
    fn what_a_server_wishes_is_bounded_and_dates_are_no_wish() {
        assert_eq!(wish(" 1"), Some(Duration::from_secs(1)));
        assert_eq!(wish("86400"), Some(LONGEST_WISH));
        assert_eq!(wish("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
