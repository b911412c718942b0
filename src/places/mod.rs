//! What is near a location, and who is asked.

use crate::protocol::{Coordinates, Kilometers};

pub mod answer;
pub mod gazetteer;
pub mod google;
pub mod google_legacy;
pub mod http;
pub mod key;
pub mod lookups;
pub mod overpass;
pub mod setup;

pub use setup::{SetupError, provider};

/// What a WHATSAT asks a provider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lookup {
    /// The client's location.
    pub center: Coordinates,
    /// 0 to 50 kilometers.
    pub radius: Kilometers,
    /// 1 to 20 places (0 asks nobody).
    pub bound: u8,
}

/// Someone who knows what is near. Shared by all workers.
pub trait Provider: Send + Sync {
    /// True if a look-up only computes, so that it is done in place; else it may block, at most
    /// for the conf's `places.timeout`.
    fn computes(&self) -> bool;

    /// Places near the center, as JSON in the shape of a Google Nearby Search response
    /// (`html_attributions`, `results`, `status`), with at most `bound` results: as a client gets
    /// them.
    ///
    /// # Errors
    ///
    /// [`Failure`] in Google's status words; never with the API key in it.
    fn nearby(&self, lookup: &Lookup) -> Result<Vec<u8>, Failure>;
}

/// Why there are no places. The client gets it as `status` and `error_message`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct Failure {
    /// Google's word for it.
    pub status: Status,
    /// What happened and what to do; shown to clients, so without keys and addresses of ours.
    pub message: String,
}

/// Google's status words for failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `UNKNOWN_ERROR`: timeout, refused, 5xx, not JSON, not the right shape.
    UnknownError,
    /// `OVER_QUERY_LIMIT`: HTTP 429, or the queue of look-ups is full.
    OverQueryLimit,
    /// `REQUEST_DENIED`: HTTP 401 and 403.
    RequestDenied,
    /// `INVALID_REQUEST`: HTTP 400.
    InvalidRequest,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::UnknownError => "UNKNOWN_ERROR",
            Self::OverQueryLimit => "OVER_QUERY_LIMIT",
            Self::RequestDenied => "REQUEST_DENIED",
            Self::InvalidRequest => "INVALID_REQUEST",
        })
    }
}
