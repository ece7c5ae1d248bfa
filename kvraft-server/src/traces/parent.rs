//! `Parent` is what the header `traceparent` says (W3C Trace Context).

/// The span that a request is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) sampled: bool,
}

impl Parent {
    /// Reads the header; anything that is not one counts as absent, as the recommendation has it.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace) = (hex(parts.next()?, 2)?, hex(parts.next()?, 32)?);
        let (span, flags) = (hex(parts.next()?, 16)?, hex(parts.next()?, 2)?);
        // Later versions may have more parts, this one has not.
        let fits = version != 0xff && (version != 0 || parts.next().is_none());
        let span = u64::try_from(span).ok()?;
        let parent = Self { trace, span, sampled: flags & 1 == 1 };
        (fits && trace != 0 && span != 0).then_some(parent)
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    let fits = text.len() == digits && text.bytes().all(lower);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_traceparent_counts_as_absent() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let good = format!("00-{trace}-b7ad6b7169203331-03");
        let parent = Parent::parse(&good).unwrap();
        assert!(parent.sampled && parent.span == 0xb7ad_6b71_6920_3331);
        assert!(Parent::parse(&format!("cc-{trace}-b7ad6b7169203331-00-later")).is_some());
        for wrong in [
            String::new(),
            format!("{good}-more"),
            format!("ff-{trace}-b7ad6b7169203331-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{:032}-b7ad6b7169203331-01", 0),
            good.to_uppercase(),
            format!("00-{trace}-+7ad6b7169203331-01"),
            format!("00-{trace}-b7ad6b7169203331"),
        ] {
            assert_eq!(Parent::parse(&wrong), None, "{wrong}");
        }
    }
}
