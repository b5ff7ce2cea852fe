//! HTTP, and what RTSP shares with it: plain values for clients and servers.
//!
//! ```text
//! url       a camera's address
//! auth      challenges of a server → Authorization fields
//! head      first line and fields of a camera's message: lenient
//! response  bytes of a reply → status, fields, body
//! request   the head of a client's request: strict
//! question  the head of a request of ours
//! range     the part of a file named by a Range field
//! etag      entity tags
//! local     which addresses are near
//! websocket a server's messages, for a client
//! ```

pub mod auth;
pub mod etag;
pub mod head;
pub mod local;
pub mod question;
pub mod range;
pub mod request;
pub mod response;
pub mod url;
pub mod websocket;
