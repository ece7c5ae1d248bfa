//! `line` writes what a watch tells as one line, and `words` of what such a line is made.

use kvraft::{Bytes, Change, Entry, MemberStatus, WatchEvent};

/// Returns the kind of the event with its revision, and `KEY=VALUE` for what is there now, `KEY` for
/// what is gone.
pub(crate) fn line(event: WatchEvent) -> String {
    match event {
        WatchEvent::Changes { revision, changes } => {
            format!("changes {revision}{}", words(changes.iter().map(change)))
        }
        WatchEvent::SnapshotBegin { revision } => format!("begin {revision}"),
        WatchEvent::SnapshotEntries(entries) => {
            format!("entries 0{}", words(entries.iter().map(entry)))
        }
        WatchEvent::SnapshotEnd { revision } => format!("end {revision}"),
        _ => "unknown 0".to_owned(),
    }
}

/// Returns `KEY=VALUE`.
pub(crate) fn entry(entry: &Entry) -> String {
    format!("{}={}", text(&entry.key), text(&entry.value))
}

/// Returns `NAME=ID`, and a star behind it for a voter.
pub(crate) fn member(member: &MemberStatus) -> String {
    let voter = if member.voter { "*" } else { "" };
    format!("{}={}{voter}", member.name, member.node_id)
}

/// Puts a space before each word.
pub(crate) fn words(words: impl Iterator<Item = String>) -> String {
    words.map(|word| format!(" {word}")).collect()
}

fn change(change: &Change) -> String {
    change.entry.as_ref().map_or_else(|| text(&change.key), entry)
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
