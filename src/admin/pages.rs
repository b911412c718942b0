//! What is where on the admin address.

use std::sync::Arc;

use super::Watched;
use super::http::Answer;
use super::metrics::Metrics;

/// The pages of one server.
pub struct Pages {
    watched: Arc<dyn Watched>,
    metrics: Metrics,
}

impl Pages {
    /// The pages of what is watched.
    pub fn new(watched: Arc<dyn Watched>) -> Self {
        let metrics = Metrics::of(Arc::clone(&watched));
        Self { watched, metrics }
    }

    /// What is at a path.
    pub fn answer(&self, path: &str) -> Answer {
        match path {
            "/healthz" => Answer::text(200, "ok"),
            "/readyz" => match self.watched.readiness() {
                Ok(()) => Answer::text(200, "ready"),
                Err(reason) => Answer::text(503, &format!("not ready: {reason}")),
            },
            "/status" => match serde_json::to_vec_pretty(&self.watched.status()) {
                Ok(mut body) => {
                    body.push(b'\n');
                    Answer { status: 200, content_type: "application/json", body }
                }
                Err(error) => Answer::text(500, &format!("the status cannot be written: {error}")),
            },
            "/metrics" => match self.metrics.text() {
                Ok(text) => Answer {
                    status: 200,
                    content_type: Metrics::CONTENT_TYPE,
                    body: text.into_bytes(),
                },
                Err(_) => Answer::text(500, "the metrics cannot be written"),
            },
            _ => Answer::text(
                404,
                "nothing is here; there are /healthz, /readyz, /status and /metrics",
            ),
        }
    }
}
