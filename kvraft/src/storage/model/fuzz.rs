//! Whatever command can be decoded can be applied: it never stops a replica, and replicas that wrote
//! a checkpoint in between agree with those that did not.

use super::*;

/// Cuts the input into payloads of up to 255 bytes; each begins with its length.
fn payloads(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let (len, behind) = rest.split_first()?;
        let (payload, behind) = behind.split_at(usize::from(*len).min(behind.len()));
        rest = behind;
        Some(payload)
    })
}

#[test]
fn log() {
    bolero::check!().for_each(|input: &[u8]| {
        let mut nodes = [Node::new(), Node::new()];
        let found = Command::Found { cluster_id: 1, revision_base: 5, settings: SETTINGS };
        let stamp = Stamp { cluster_ms: 0, wall_ms: 0 };
        let first = Payload::new(stamp, None, &found.encode());
        let others = payloads(input).map(|bytes| Payload(Bytes::copy_from_slice(bytes)));
        let sound = others.filter(|payload| {
            // A level that this release does not know stops its node: that is what it is for.
            payload.proposal().is_ok_and(|asked| {
                !matches!(asked.command, Command::RaiseFormat { level } if level > FORMAT_LEVEL)
            })
        });
        for (index, payload) in (1..).zip(std::iter::once(first).chain(sound)) {
            let log_id = LogId::new_term_index(1, index);
            let entry = Entry { log_id, payload: EntryPayload::Normal(payload) };
            let outcomes =
                nodes.each_mut().map(|node| node.parts().0.apply(entry.clone()).unwrap());
            assert_eq!(outcomes[0], outcomes[1]);
            nodes[0].freeze();
            nodes[0].commit();
        }
        let hashes = nodes.each_mut().map(|node| node.view().state_hash());
        assert_eq!(hashes[0], hashes[1]);
    });
}
