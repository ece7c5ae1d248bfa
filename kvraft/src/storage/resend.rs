//! `Resend` is the snapshot whose sending broke off, kept for a while so that it can go on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::storage::lock;
use crate::storage::snapshot::{ViewCursor, ViewSource};
use crate::storage::view::View;

/// How long a view is kept after its sending broke off. Until then LMDB takes no page again that
/// was freed since; a peer that restarts or changes its network is back sooner.
const PATIENCE: Duration = Duration::from_secs(60);
/// How far the marks of a stream are apart: so much is read in vain at most when it goes on, and
/// a stream of 1 TiB has 65,536 of them.
const MARK_BYTES: u64 = 16 << 20;

/// The views of one state that are sent, and the one that may be sent again.
#[derive(Default)]
pub(crate) struct Resend(Mutex<Views>);

#[derive(Default)]
struct Views {
    /// Those that are being sent, or were.
    sent: Vec<Weak<Sent>>,
    kept: Option<Kept>,
    /// Up to this index the log is purged, or about to be.
    purged: u64,
}

struct Kept {
    sent: Arc<Sent>,
    /// When it was first seen here.
    since: Option<Instant>,
}

/// A view that is sent, with places at which its stream can be entered.
pub(super) struct Sent {
    pub(super) view: Arc<View>,
    marks: Mutex<BTreeMap<u64, ViewCursor>>,
    /// How far any sending of it came.
    furthest: AtomicU64,
}

impl Sent {
    fn index(&self) -> u64 {
        self.view.applied().map_or(0, |id| id.index)
    }

    /// Remembers the cursor behind so many bytes, if that is far enough from the last mark.
    pub(super) fn mark(&self, bytes: u64, cursor: &ViewCursor) {
        let mut marks = lock(&self.marks);
        let last = marks.last_key_value().map_or(0, |(last, _)| *last);
        if bytes >= last + MARK_BYTES {
            marks.insert(bytes, cursor.clone());
        }
    }

    /// Returns the last mark up to so many bytes: where it stands, and its cursor.
    pub(super) fn mark_upto(&self, bytes: u64) -> (u64, ViewCursor) {
        let marks = lock(&self.marks);
        let found = marks.range(..=bytes).next_back();
        found.map_or_else(|| (0, ViewCursor::new()), |(at, cursor)| (*at, cursor.clone()))
    }
}

impl Resend {
    /// Begins to send `view` from its start.
    pub(super) fn begin(self: &Arc<Self>, view: Arc<View>) -> ViewSource {
        let sent = Arc::new(Sent { view, marks: Mutex::default(), furthest: AtomicU64::new(0) });
        let mut views = lock(&self.0);
        views.sent.retain(|sent| sent.strong_count() > 0);
        views.sent.push(Arc::downgrade(&sent));
        ViewSource::new(sent, Arc::clone(self), false)
    }

    /// Returns the snapshot that broke off last, if it is still here.
    pub(super) fn again(self: &Arc<Self>) -> Option<ViewSource> {
        let sent = Arc::clone(&lock(&self.0).kept.as_ref()?.sent);
        Some(ViewSource::new(sent, Arc::clone(self), true))
    }

    /// Keeps a view whose sending broke off behind so many bytes, in the place of the last one.
    ///
    /// It is kept again only if it came further, so that no view stays for ever. One below the
    /// purged log is of no use: whoever gets it would need another at once, and a follower that
    /// needs a snapshot may be ahead of it.
    pub(super) fn keep(&self, sent: &Arc<Sent>, at: u64) {
        if sent.furthest.fetch_max(at, Ordering::Relaxed) >= at {
            return;
        }
        let mut views = lock(&self.0);
        let former = (sent.index() >= views.purged)
            .then(|| views.kept.replace(Kept { sent: Arc::clone(sent), since: None }));
        drop(views);
        // Outside of the lock: the last holder of a view closes what it holds of the disk.
        drop(former);
    }

    /// Lets a kept view go if the log is purged above it. Called before that is done.
    pub(crate) fn purge(&self, upto: u64) {
        let mut views = lock(&self.0);
        views.purged = views.purged.max(upto);
        let former = views.kept.take_if(|kept| kept.sent.index() < upto);
        drop(views);
        drop(former);
    }

    /// Lets a kept view go that nobody needs again.
    pub(super) fn let_go_of(&self, sent: &Arc<Sent>) {
        self.let_go(|kept| Arc::ptr_eq(&kept.sent, sent));
    }

    /// Lets a kept view go once its time is over. Called again and again.
    pub(crate) fn tick(&self, now: Instant) {
        self.let_go(|kept| {
            now.saturating_duration_since(*kept.since.get_or_insert(now)) >= PATIENCE
        });
    }

    /// Lets a kept view go now, for the sake of the pages that it holds.
    pub(crate) fn clear(&self) {
        self.let_go(|_| true);
    }

    /// Returns the lowest log index of a view that is being sent or may be: who gets it needs
    /// what follows.
    pub(crate) fn lowest(&self) -> Option<u64> {
        let sent: Vec<_> = lock(&self.0).sent.iter().filter_map(Weak::upgrade).collect();
        sent.iter().map(|sent| sent.index()).min()
    }

    fn let_go(&self, is_over: impl FnOnce(&mut Kept) -> bool) {
        let former = lock(&self.0).kept.take_if(is_over);
        drop(former);
    }
}
