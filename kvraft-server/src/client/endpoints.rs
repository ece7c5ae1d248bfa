//! `Endpoints` are the nodes that a client knows, and what it knows of each.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;

use super::backoff;
use super::base::Base;

/// How many nodes are learned of at most.
const MOST: usize = 64;

/// One node.
#[derive(Debug, Clone)]
struct Endpoint {
    base: Base,
    /// How often it failed since it was of use.
    failures: u32,
    /// It is not asked again before.
    rests_until: Instant,
    /// Whether it has ever answered, whatever that was.
    answered: bool,
}

/// The nodes that were named, then those that they have told of.
#[derive(Debug)]
pub(crate) struct Endpoints {
    all: Vec<Endpoint>,
    /// Whether the way to the nodes is encrypted, so that it has to stay so.
    encrypted: bool,
    leader: Option<Base>,
    /// Who answered last.
    proven: Option<Base>,
    learned: Option<Instant>,
}

impl Endpoints {
    pub(crate) fn new(named: Vec<Base>) -> Self {
        let encrypted = named.iter().any(Base::is_https);
        let mut endpoints =
            Self { all: Vec::new(), encrypted, leader: None, proven: None, learned: None };
        named.into_iter().for_each(|base| endpoints.add(base));
        endpoints
    }

    fn add(&mut self, base: Base) {
        if !self.knows(&base) {
            self.all.push(Endpoint {
                base,
                failures: 0,
                rests_until: Instant::now(),
                answered: false,
            });
        }
    }

    /// Whether this is a node that was named, or the advertised address of a member.
    pub(crate) fn knows(&self, base: &Base) -> bool {
        self.all.iter().any(|endpoint| endpoint.base == *base)
    }

    /// All of them, those that were named first.
    pub(crate) fn all(&self) -> Vec<Base> {
        self.all.iter().map(|endpoint| endpoint.base.clone()).collect()
    }

    /// Who is to be asked next, and when: the leader, else who answered last, else whose rest ends
    /// first. Nobody in `unfit`.
    pub(crate) fn next(&self, unfit: &BTreeSet<Base>) -> Option<(Base, Instant)> {
        let now = Instant::now();
        let rank = |endpoint: &&Endpoint| {
            let is = |other: &Option<Base>| other.as_ref() == Some(&endpoint.base);
            let standing = if is(&self.leader) {
                0
            } else if is(&self.proven) {
                1
            } else {
                2
            };
            (endpoint.rests_until.max(now), standing)
        };
        let fit = self.all.iter().filter(|endpoint| !unfit.contains(&endpoint.base));
        let next = fit.min_by_key(rank)?;
        Some((next.base.clone(), next.rests_until.max(now)))
    }

    /// This node has answered.
    pub(crate) fn answered(&mut self, base: &Base) {
        if let Some(endpoint) = self.all.iter_mut().find(|endpoint| endpoint.base == *base) {
            endpoint.answered = true;
        }
    }

    /// Whether this node has answered before.
    pub(crate) fn has_answered(&self, base: &Base) -> bool {
        self.all.iter().any(|endpoint| endpoint.base == *base && endpoint.answered)
    }

    /// This node was of use.
    pub(crate) fn succeeded(&mut self, base: &Base) {
        if let Some(endpoint) = self.all.iter_mut().find(|endpoint| endpoint.base == *base) {
            endpoint.failures = 0;
        }
        self.proven = Some(base.clone());
    }

    /// This node was of no use, and wishes perhaps not to be asked for a while.
    pub(crate) fn failed(&mut self, base: &Base, wish: Option<std::time::Duration>) {
        for former in [&mut self.leader, &mut self.proven] {
            if former.as_ref() == Some(base) {
                *former = None;
            }
        }
        if let Some(endpoint) = self.all.iter_mut().find(|endpoint| endpoint.base == *base) {
            endpoint.failures = endpoint.failures.saturating_add(1);
            let pause = backoff::pause(endpoint.failures);
            endpoint.rests_until = Instant::now() + pause.max(wish.unwrap_or_default());
        }
    }

    /// A node has sent us on to this one.
    pub(crate) fn leads(&mut self, base: &Base) {
        self.leader = Some(base.clone());
    }

    /// Whether it is long enough ago that a node was asked for the others; if so, it is now.
    pub(crate) fn may_learn(&mut self, every: std::time::Duration) -> bool {
        let due = self.learned.is_none_or(|learned| learned.elapsed() >= every);
        if due {
            self.learned = Some(Instant::now());
        }
        due
    }

    /// Takes over what a node says in its status: the members with their addresses, and who leads.
    /// Nobody is believed who would have us send a token in clear text that was encrypted so far.
    pub(crate) fn learn(&mut self, status: &Value) {
        let read = |value: Option<&Value>| {
            let base = Base::parse(value?.as_str()?).ok()?;
            Some(base).filter(|base| base.is_https() || !self.encrypted)
        };
        let members = status.get("members").and_then(Value::as_array).into_iter().flatten();
        let told: Vec<_> = members.filter_map(|member| read(member.get("http"))).collect();
        let leader = read(status.get("leaderHTTP"));
        for base in told {
            if self.all.len() < MOST {
                self.add(base);
            }
        }
        let now = Instant::now();
        let rested = |base: &Base| {
            self.all.iter().any(|known| known.base == *base && known.rests_until <= now)
        };
        // A leader that has just failed is the news of somebody who does not know it yet.
        self.leader = leader.filter(rested);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn base(name: &str) -> Base {
        Base::parse(&format!("http://{name}")).unwrap()
    }

    fn next(endpoints: &Endpoints) -> Base {
        endpoints.next(&BTreeSet::new()).unwrap().0
    }

    #[test]
    fn the_next_one_is_the_leader_else_who_answered_last_else_who_is_rested() {
        let mut endpoints = Endpoints::new(vec![base("a"), base("b"), base("c")]);
        assert_eq!(next(&endpoints), base("a"));
        endpoints.failed(&base("a"), Some(Duration::from_secs(9)));
        assert_eq!(next(&endpoints), base("b"));
        endpoints.succeeded(&base("c"));
        assert_eq!(next(&endpoints), base("c"));
        endpoints.leads(&base("b"));
        assert_eq!(next(&endpoints), base("b"));
        endpoints.failed(&base("b"), Some(Duration::from_secs(8)));
        endpoints.failed(&base("c"), Some(Duration::from_secs(7)));
        let (last, at) = endpoints.next(&BTreeSet::new()).unwrap();
        assert_eq!(last, base("c"));
        assert!(at > Instant::now() + Duration::from_secs(6));
        let unfit = BTreeSet::from([base("a"), base("b"), base("c")]);
        assert!(endpoints.next(&unfit).is_none());
    }

    #[test]
    fn members_and_the_leader_are_learned_from_a_status() {
        let mut endpoints = Endpoints::new(vec![base("a")]);
        let status = json!({
            "leaderHTTP": "http://b:80/",
            "members": [{"http": "http://b"}, {"http": ""}, {"http": "nonsense"}, {}],
        });
        endpoints.learn(&status);
        assert_eq!(endpoints.all(), [base("a"), base("b")]);
        assert_eq!(next(&endpoints), base("b"));
        endpoints.failed(&base("b"), Some(Duration::from_secs(9)));
        endpoints.learn(&status);
        assert_eq!(next(&endpoints), base("a"), "the news is older than the failure");
    }

    #[test]
    fn nobody_leads_from_an_encrypted_way_to_an_open_one() {
        let mut endpoints = Endpoints::new(vec![Base::parse("https://a").unwrap()]);
        endpoints.learn(&json!({"leaderHTTP": "http://b", "members": [{"http": "http://b"}]}));
        assert!(!endpoints.knows(&base("b")));
    }
}
