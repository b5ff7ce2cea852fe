//! HTTP and what RTSP shares with it: plain values, for whoever asks and whoever answers.
//!
//! ```text
//! url       a camera's address
//! auth      challenges of a server → Authorization fields
//! head      first line and fields as cameras write them: lenient
//! response  bytes of a reply → status, fields, body
//! request   the head of a request as clients write it: strict
//! range     what a Range field asks of a file
//! etag      which state of a file a client has
//! ```

pub mod auth;
pub mod etag;
pub mod head;
pub mod range;
pub mod request;
pub mod response;
pub mod url;
