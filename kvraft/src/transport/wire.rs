//! The bytes of openraft's requests and responses on the wire: our versions of its types.

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::frame;
use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::raft::{
    AppendRequest, AppendResponse, LogId, SnapshotMeta, StreamAppendError, StreamAppendResult,
    TransferError, TransferRequest, TransferResponse, VoteRequest, VoteResponse,
};
use crate::record;

fn put_log_id_option(out: &mut BytesMut, id: Option<&LogId>) {
    out.put_option(id, record::put_log_id);
}

fn read_log_id_option(reader: &mut Reader) -> Decoded<Option<LogId>> {
    reader.option(record::read_log_id)
}

pub(super) fn append_frame(kind: u8, request: &AppendRequest) -> Bytes {
    let entries: usize = request.entries.iter().map(record::entry_len).sum();
    frame(kind, 128 + entries, |out| {
        record::put_vote(out, &request.vote);
        put_log_id_option(out, request.prev_log_id.as_ref());
        put_log_id_option(out, request.leader_commit.as_ref());
        out.put_list(request.entries.iter(), |out, entry| {
            out.put_u64(entry.log_id.index());
            let place = out.len();
            out.put_u32(0);
            let start = out.len();
            record::put_entry_body(out, entry);
            // Bounded by the frame, which is far below 4 GiB.
            let len = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
            if let Some(place) = out.get_mut(place..start) {
                place.copy_from_slice(&len.to_be_bytes());
            }
        });
    })
}

pub(super) fn read_append_request(reader: &mut Reader) -> Decoded<AppendRequest> {
    let request = AppendRequest {
        vote: record::read_vote(reader)?,
        prev_log_id: read_log_id_option(reader)?,
        leader_commit: read_log_id_option(reader)?,
        entries: reader.list(|r| {
            let index = r.u64()?;
            record::read_entry_body(index, r.bytes()?)
        })?,
    };
    check_consecutive(&request)?;
    Ok(request)
}

/// Raft takes it for granted that entries follow each other; a log with a gap stops the node.
fn check_consecutive(request: &AppendRequest) -> Decoded<()> {
    let mut before = request.prev_log_id;
    for entry in &request.entries {
        let id = entry.log_id;
        let next = match before {
            Some(before) => before.index().checked_add(1),
            None => Some(0),
        };
        if next != Some(id.index()) || before.is_some_and(|before| before.leader_id > id.leader_id)
        {
            return Err(DecodeError::new(format!("entry {id} does not follow {before:?}")));
        }
        before = Some(id);
    }
    Ok(())
}

pub(super) fn put_append_response(out: &mut BytesMut, response: &AppendResponse) {
    match response {
        AppendResponse::Success => out.put_u8(1),
        AppendResponse::PartialSuccess(matching) => {
            out.put_u8(2);
            put_log_id_option(out, matching.as_ref());
        }
        AppendResponse::Conflict => out.put_u8(3),
        AppendResponse::HigherVote(vote) => {
            out.put_u8(4);
            record::put_vote(out, vote);
        }
    }
}

pub(super) fn read_append_response(reader: &mut Reader) -> Decoded<AppendResponse> {
    match reader.u8()? {
        1 => Ok(AppendResponse::Success),
        2 => Ok(AppendResponse::PartialSuccess(read_log_id_option(reader)?)),
        3 => Ok(AppendResponse::Conflict),
        4 => Ok(AppendResponse::HigherVote(record::read_vote(reader)?)),
        tag => Err(DecodeError::new(format!("append response {tag} is unknown"))),
    }
}

pub(super) fn put_stream_append_result(out: &mut BytesMut, result: &StreamAppendResult) {
    match result {
        Ok(matching) => {
            out.put_u8(1);
            put_log_id_option(out, matching.as_ref());
        }
        Err(StreamAppendError::Conflict(log_id)) => {
            out.put_u8(2);
            record::put_log_id(out, log_id);
        }
        Err(StreamAppendError::HigherVote(vote)) => {
            out.put_u8(3);
            record::put_vote(out, vote);
        }
    }
}

pub(super) fn read_stream_append_result(reader: &mut Reader) -> Decoded<StreamAppendResult> {
    match reader.u8()? {
        1 => Ok(Ok(read_log_id_option(reader)?)),
        2 => Ok(Err(StreamAppendError::Conflict(record::read_log_id(reader)?))),
        3 => Ok(Err(StreamAppendError::HigherVote(record::read_vote(reader)?))),
        tag => Err(DecodeError::new(format!("stream append result {tag} is unknown"))),
    }
}

pub(super) fn put_vote_request(out: &mut BytesMut, request: &VoteRequest) {
    record::put_vote(out, &request.vote);
    put_log_id_option(out, request.last_log_id.as_ref());
    out.put_bool(request.leadership_transfer);
}

pub(super) fn read_vote_request(reader: &mut Reader) -> Decoded<VoteRequest> {
    Ok(VoteRequest {
        vote: record::read_vote(reader)?,
        last_log_id: read_log_id_option(reader)?,
        leadership_transfer: reader.bool()?,
    })
}

pub(super) fn put_vote_response(out: &mut BytesMut, response: &VoteResponse) {
    record::put_vote(out, &response.vote);
    out.put_bool(response.vote_granted);
    put_log_id_option(out, response.last_log_id.as_ref());
}

pub(super) fn read_vote_response(reader: &mut Reader) -> Decoded<VoteResponse> {
    Ok(VoteResponse {
        vote: record::read_vote(reader)?,
        vote_granted: reader.bool()?,
        last_log_id: read_log_id_option(reader)?,
    })
}

pub(super) fn put_transfer_request(out: &mut BytesMut, request: &TransferRequest) {
    record::put_vote(out, request.from_leader());
    out.put_u64(*request.to_node_id());
    put_log_id_option(out, request.last_log_id());
}

pub(super) fn read_transfer_request(reader: &mut Reader) -> Decoded<TransferRequest> {
    let from = record::read_vote(reader)?;
    let to = reader.u64()?;
    Ok(TransferRequest::new(from, to, read_log_id_option(reader)?))
}

pub(super) fn put_transfer_response(out: &mut BytesMut, response: &TransferResponse) {
    match response {
        Ok(()) => out.put_u8(1),
        Err(TransferError::VoteChanged { expected, actual }) => {
            out.put_u8(2);
            record::put_vote(out, expected);
            record::put_vote(out, actual);
        }
        Err(TransferError::LogNotFlushed { expected, actual }) => {
            out.put_u8(3);
            put_log_id_option(out, expected.as_ref());
            put_log_id_option(out, actual.as_ref());
        }
    }
}

pub(super) fn read_transfer_response(reader: &mut Reader) -> Decoded<TransferResponse> {
    match reader.u8()? {
        1 => Ok(Ok(())),
        2 => Ok(Err(TransferError::VoteChanged {
            expected: record::read_vote(reader)?,
            actual: record::read_vote(reader)?,
        })),
        3 => Ok(Err(TransferError::LogNotFlushed {
            expected: read_log_id_option(reader)?,
            actual: read_log_id_option(reader)?,
        })),
        tag => Err(DecodeError::new(format!("transfer response {tag} is unknown"))),
    }
}

pub(super) fn put_snapshot_meta(out: &mut BytesMut, meta: &SnapshotMeta) {
    put_log_id_option(out, meta.last_log_id.as_ref());
    record::put_stored_membership(out, &meta.last_membership);
}

pub(super) fn read_snapshot_meta(reader: &mut Reader) -> Decoded<SnapshotMeta> {
    Ok(SnapshotMeta {
        last_log_id: read_log_id_option(reader)?,
        last_membership: record::read_stored_membership(reader)?,
    })
}
