//! Session descriptions in the shapes that cameras and servers send.

/// One H.264 track, nothing else that matters.
pub(in crate::rtsp) const H264_ONLY: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=x\r\nt=0 0\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n";

/// Reolink: live555, AAC.
pub(in crate::rtsp) const REOLINK: &str = "v=0\r\n\
    o=- 1700000000000000 1 IN IP4 10.0.0.2\r\n\
    s=Session streamed by \"preview\"\r\n\
    i=h264Preview_01_main\r\n\
    t=0 0\r\n\
    a=tool:LIVE555 Streaming Media v2013.04.08\r\n\
    a=type:broadcast\r\n\
    a=control:*\r\n\
    a=range:npt=0-\r\n\
    m=video 0 RTP/AVP 96\r\n\
    c=IN IP4 0.0.0.0\r\n\
    b=AS:500\r\n\
    a=rtpmap:96 H264/90000\r\n\
    a=range:npt=0-\r\n\
    a=fmtp:96 packetization-mode=1;profile-level-id=640033;sprop-parameter-sets=Z2QAM6zoAoALWQ==,aO48MA==\r\n\
    a=control:trackID=1\r\n\
    m=audio 0 RTP/AVP 97\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=rtpmap:97 MPEG4-GENERIC/16000\r\n\
    a=fmtp:97 streamtype=5;mode=AAC-hbr;config=1408; profile=1;\r\n\
    a=control:trackID=2\r\n";

/// Hikvision: absolute controls with a query, ONVIF metadata.
pub(in crate::rtsp) const HIKVISION: &str = "v=0\r\n\
    o=- 1700000000000000 1700000000000000 IN IP4 10.0.0.2\r\n\
    s=Media Presentation\r\n\
    e=NONE\r\n\
    b=AS:5050\r\n\
    t=0 0\r\n\
    a=control:rtsp://10.0.0.2:554/Streaming/Channels/101/?transportmode=unicast\r\n\
    m=video 0 RTP/AVP 96\r\n\
    c=IN IP4 0.0.0.0\r\n\
    b=AS:5000\r\n\
    a=recvonly\r\n\
    a=x-dimensions:1920,1080\r\n\
    a=control:rtsp://10.0.0.2:554/Streaming/Channels/101/trackID=1?transportmode=unicast\r\n\
    a=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z00AKZpkA8ARPyzUBAQFAAADA+gAAOpgBA==,aO48gA==\r\n\
    m=application 0 RTP/AVP 107\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=control:rtsp://10.0.0.2:554/Streaming/Channels/101/trackID=3?transportmode=unicast\r\n\
    a=rtpmap:107 vnd.onvif.metadata/90000\r\n\
    a=Media_header:MEDIAINFO=494D4B48010100000400010000000000;\r\n\
    a=appversion:1.0\r\n";

/// Dahua: H.265, PCMA by its static payload type, a base with a query.
pub(in crate::rtsp) const DAHUA: &str = "v=0\r\n\
    o=- 2253040596 2253040596 IN IP4 0.0.0.0\r\n\
    s=Media Server\r\n\
    c=IN IP4 0.0.0.0\r\n\
    t=0 0\r\n\
    a=control:*\r\n\
    a=packetization-supported:DH\r\n\
    a=range:npt=now-\r\n\
    m=video 0 RTP/AVP 98\r\n\
    a=control:trackID=0\r\n\
    a=framerate:12.000000\r\n\
    a=rtpmap:98 H265/90000\r\n\
    a=fmtp:98 profile-id=1;sprop-sps=QgEBAWAAAAMAsA==;sprop-pps=RAHA8saN;sprop-vps=QAEMAf//AWAAAAMAsAAAAwAAAwBarAw=\r\n\
    a=recvonly\r\n\
    m=audio 0 RTP/AVP 8\r\n\
    a=control:trackID=1\r\n\
    a=recvonly\r\n\
    m=application 0 RTP/AVP 107\r\n\
    a=control:trackID=4\r\n\
    a=rtpmap:107 vnd.onvif.metadata/90000\r\n";

/// majestic of OpenIPC before its encoder has run: no parameter sets.
pub(in crate::rtsp) const MAJESTIC: &str = "v=0\r\n\
    o=- 0 0 IN IP4 0.0.0.0\r\n\
    s=OpenIPC\r\n\
    c=IN IP4 0.0.0.0\r\n\
    t=0 0\r\n\
    m=video 0 RTP/AVP 96\r\n\
    a=control:track0\r\n\
    a=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;profile-level-id=000000;sprop-parameter-sets=,\r\n";

/// gst-rtsp-server.
pub(in crate::rtsp) const GSTREAMER: &str = "v=0\r\n\
    o=- 16444528393402136573 1 IN IP4 127.0.0.1\r\n\
    s=Session streamed with GStreamer\r\n\
    i=rtsp-server\r\n\
    t=0 0\r\n\
    a=tool:GStreamer\r\n\
    a=type:broadcast\r\n\
    a=control:*\r\n\
    a=range:npt=now-\r\n\
    m=video 0 RTP/AVP 96\r\n\
    c=IN IP4 0.0.0.0\r\n\
    a=rtpmap:96 H265/90000\r\n\
    a=framerate:25\r\n\
    a=fmtp:96 sprop-vps=QAEMAf//AWAAAAMAkA==;sprop-sps=QgEBAWAAAAMAkAA=;sprop-pps=RAHBcrRiQA==\r\n\
    a=control:stream=0\r\n\
    a=ts-refclk:local\r\n\
    a=mediaclk:sender\r\n\
    a=ssrc:1461512829 cname:user2380932014@host-1\r\n";

/// VLC: absolute controls, `;` behind the last parameter.
pub(in crate::rtsp) const VLC: &str = "v=0\r\n\
    o=- 16535512317513155396 16535512317513155396 IN IP4 desk\r\n\
    s=Unnamed\r\n\
    i=N/A\r\n\
    c=IN IP4 0.0.0.0\r\n\
    t=0 0\r\n\
    a=tool:vlc 3.0.18\r\n\
    a=recvonly\r\n\
    a=control:rtsp://127.0.0.1:8554/test\r\n\
    m=audio 0 RTP/AVP 14\r\n\
    b=RR:0\r\n\
    a=control:rtsp://127.0.0.1:8554/test/trackID=4\r\n\
    m=video 0 RTP/AVP 96\r\n\
    b=RR:0\r\n\
    a=rtpmap:96 H264/90000\r\n\
    a=fmtp:96 packetization-mode=1;profile-level-id=64001f;sprop-parameter-sets=Z2QAH6zZQFAFuwE=,aOvjyyLA;\r\n\
    a=control:rtsp://127.0.0.1:8554/test/trackID=5\r\n";

/// libavformat: no session control, blanks behind `;`.
pub(in crate::rtsp) const FFMPEG: &str = "v=0\n\
    o=- 0 0 IN IP4 127.0.0.1\n\
    s=No Name\n\
    c=IN IP4 127.0.0.1\n\
    t=0 0\n\
    a=tool:libavformat 58.25.100\n\
    m=video 0 RTP/AVP 96\n\
    a=rtpmap:96 H264/90000\n\
    a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QADazZQUGfnwEQAAADABAAAAMDwPFCmWA=,aOvjyyLA; profile-level-id=64000D\n\
    a=control:streamid=0\n\
    m=audio 0 RTP/AVP 97\n\
    b=AS:128\n\
    a=rtpmap:97 MPEG4-GENERIC/48000/2\n\
    a=control:streamid=1\n";
