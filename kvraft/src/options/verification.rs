//! `Verification` is what a comparison of the members' states has shown.

/// The states of all members as of one revision, by their hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// The revision at which every member sampled its state.
    pub revision: u64,
    /// The members, sorted by name.
    pub members: Vec<MemberState>,
}

/// What one member's state was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberState {
    /// The user's word for it.
    pub name: String,
    /// 16 hexadecimal digits, born with its data directory.
    pub node_id: String,
    /// Whether it votes: the majority is one of voters.
    pub voter: bool,
    /// The hash over all that it replicates, in 16 hexadecimal digits; `None` if it did not answer.
    pub state_hash: Option<String>,
    /// Why it did not answer, in words.
    pub failure: Option<String>,
}

/// What follows from a [`Verification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// A majority of the voters has one state, and no member another one.
    Agreed,
    /// A majority of the voters has one state, and some member has another one: it takes itself
    /// out, and fetches that of the majority.
    Diverged,
    /// Members have different states, and none is that of a majority: nobody can tell who is right.
    Split,
    /// The members that answered have one state, but they are no majority of the voters.
    Unknown,
}

impl Verdict {
    /// Returns the verdict in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Diverged => "diverged",
            Self::Split => "split",
            Self::Unknown => "unknown",
        }
    }
}

impl Verification {
    /// Returns what follows from it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut hashes = self.members.iter().filter_map(|member| member.state_hash.as_deref());
        let first = hashes.next();
        let differ = hashes.any(|hash| Some(hash) != first);
        match (self.majority().is_some(), differ) {
            (true, false) => Verdict::Agreed,
            (true, true) => Verdict::Diverged,
            (false, true) => Verdict::Split,
            (false, false) => Verdict::Unknown,
        }
    }

    /// Returns the hash that more than half of all voters have, those counted that did not answer.
    #[must_use]
    pub fn majority(&self) -> Option<&str> {
        let voters = || self.members.iter().filter(|member| member.voter);
        let hashes = || voters().filter_map(|member| member.state_hash.as_deref());
        let wins =
            |hash: &str| hashes().filter(|other| *other == hash).count() * 2 > voters().count();
        hashes().find(|hash| wins(hash))
    }

    /// Returns the members whose state is not that of the majority; none without a majority.
    pub fn diverged(&self) -> impl Iterator<Item = &MemberState> {
        let right = self.majority();
        self.members.iter().filter(move |member| {
            let own = member.state_hash.as_deref();
            own.is_some() && right.is_some() && own != right
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members `a`, `b` ... with these hashes: `-` for none, in capitals for a learner.
    fn verification(hashes: &str) -> Verification {
        let member = |(name, hash): (char, char)| MemberState {
            name: name.to_string(),
            node_id: String::new(),
            voter: !hash.is_ascii_uppercase(),
            state_hash: (hash != '-').then(|| hash.to_ascii_lowercase().to_string()),
            failure: None,
        };
        Verification { revision: 1, members: ('a'..).zip(hashes.chars()).map(member).collect() }
    }

    #[test]
    fn only_a_majority_of_all_voters_decides_who_is_right() {
        let cases = [
            ("xxx", Verdict::Agreed, ""),
            ("xx-", Verdict::Agreed, ""),
            ("x--", Verdict::Unknown, ""),
            ("---", Verdict::Unknown, ""),
            ("xxy", Verdict::Diverged, "c"),
            ("xy", Verdict::Split, ""),
            ("xyz", Verdict::Split, ""),
            ("xxyy", Verdict::Split, ""),
            ("xy-", Verdict::Split, ""),
            ("xyxzx", Verdict::Diverged, "bd"),
            // Learners are judged, and judge nobody.
            ("xY", Verdict::Diverged, "b"),
            ("xyYYY", Verdict::Split, ""),
            ("x-XX", Verdict::Unknown, ""),
        ];
        for (hashes, verdict, diverged) in cases {
            let verification = verification(hashes);
            assert_eq!(verification.verdict(), verdict, "{hashes}");
            let names: String = verification.diverged().map(|m| m.name.as_str()).collect();
            assert_eq!(names, diverged, "{hashes}");
        }
    }
}
