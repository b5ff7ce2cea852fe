//! Viewers on one side, a test camera on the other.

use super::{sources::PictureSources, *};
use crate::http::url::Target;
use camera::{Auth, Builder, Camera, Clip, PICTURE, Pictures, Scheme, SessionState};
use smol::{LocalExecutor, Task};

const INTERVAL: Duration = Duration::from_millis(400);

/// Runs `test` beside the task that fetches pictures from `sources`.
fn run<T>(
    sources: PictureSources,
    test: impl AsyncFnOnce(Rc<Snapshots>, &LocalExecutor<'static>) -> T,
) -> T {
    let snapshots = Rc::new(Snapshots::with("yard", sources, INTERVAL));
    let executor = LocalExecutor::new();
    let fetching = Rc::clone(&snapshots);
    executor.spawn(async move { fetching.run().await }).detach();
    runtime::block_on(&executor, test(snapshots, &executor))
}

fn http(builder: Builder) -> Camera {
    builder.http(0).start().unwrap()
}

/// The configured source for a camera's JPEG, with the credentials `user`.
fn page(camera: &Camera, user: &str) -> PictureSources {
    let url = camera.picture_url().unwrap().replace("http://", &format!("http://{user}"));
    PictureSources::page(Target::http(&url).unwrap(), 1)
}

/// The default sources for a camera with the stream `cam`.
fn guesses(camera: &Camera) -> PictureSources {
    let url: Target = camera.url("cam").parse().unwrap();
    let page = Target::http(&camera.picture_url().unwrap()).unwrap();
    PictureSources::guesses(&url, None, page.port(), None, 1)
}

/// A single viewer's first answer from a camera whose pictures behave like this.
fn answer_of(pictures: Pictures) -> Result<Vec<u8>, String> {
    let camera = http(Camera::builder());
    camera.set_pictures(pictures);
    run(page(&camera, ""), async |snapshots, _| newest(&snapshots).await)
}

async fn newest(snapshots: &Snapshots) -> Result<Vec<u8>, String> {
    let picture = snapshots.newest().await;
    picture.map(|picture| picture.jpeg.clone()).map_err(|reason| reason.to_string())
}

/// Requests pictures until `is_so`.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        runtime::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn twenty_viewers_are_one_question_an_interval() {
    let camera = http(Camera::builder());
    run(page(&camera, ""), async |snapshots, executor| {
        let started = runtime::now();
        let viewers: Vec<Task<usize>> = (0..20)
            .map(|_| {
                let snapshots = Rc::clone(&snapshots);
                executor.spawn(async move {
                    let mut pictures = 0;
                    while started.elapsed() < 4 * INTERVAL {
                        assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE));
                        pictures += 1;
                        runtime::sleep(INTERVAL / 20).await;
                    }
                    pictures
                })
            })
            .collect();
        for viewer in viewers {
            assert!(viewer.await > 4);
        }
        let questions = camera.picture_requests().len();
        let intervals = started.elapsed().as_millis() / INTERVAL.as_millis();
        assert!((3..=intervals as usize + 1).contains(&questions), "{questions} in {intervals}");
    });
}

#[test]
fn a_viewer_that_asks_while_the_camera_answers_gets_that_answer() {
    let camera = http(Camera::builder());
    camera.set_pictures(Pictures::Late(INTERVAL / 4));
    run(page(&camera, ""), async |snapshots, _| {
        let second = async {
            until(|| camera.picture_requests().len() == 1).await;
            newest(&snapshots).await
        };
        let (first, second) = future::zip(newest(&snapshots), second).await;
        assert_eq!((first.as_deref(), second.as_deref()), (Ok(PICTURE), Ok(PICTURE)));
        runtime::sleep(INTERVAL).await;
        assert_eq!(camera.picture_requests().len(), 1);
    });
}

#[test]
fn without_viewers_the_camera_is_not_asked_and_nothing_is_kept() {
    let camera = http(Camera::builder());
    run(page(&camera, ""), async |snapshots, _| {
        runtime::sleep(2 * INTERVAL).await;
        assert_eq!(camera.picture_requests(), []);
        assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE));
        let asked = runtime::now();
        until(|| snapshots.answer.borrow().is_none()).await;
        assert!(asked.elapsed() + INTERVAL > limits::SNAPSHOT_IDLE_TIMEOUT);
        assert_eq!(camera.picture_requests().len(), 1);
        assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE));
    });
}

#[test]
fn a_viewer_who_leaves_takes_no_answer_from_the_others() {
    let camera = http(Camera::builder());
    run(page(&camera, ""), async |snapshots, _| {
        let (leaving, staying) = (snapshots.newest(), newest(&snapshots));
        let left = runtime::timeout(Duration::ZERO, leaving).await;
        assert!(left.is_none());
        assert_eq!(staying.await.as_deref(), Ok(PICTURE));
        assert_eq!(camera.picture_requests().len(), 1);
    });
}

#[test]
fn a_viewer_that_asks_while_settings_change_is_told_so() {
    let camera = http(Camera::builder());
    camera.set_pictures(Pictures::Silent);
    run(page(&camera, ""), async |snapshots, executor| {
        let asking = Rc::clone(&snapshots);
        let viewer = executor.spawn(async move { newest(&asking).await });
        until(|| !camera.picture_requests().is_empty()).await;
        snapshots.stop();
        assert!(viewer.await.unwrap_err().contains("settings"));
        assert!(newest(&snapshots).await.unwrap_err().contains("settings"));
    });
}

#[test]
fn every_kind_of_reply_brings_the_picture() {
    for pictures in [
        Pictures::Whole,
        Pictures::Chunked,
        Pictures::UntilClose,
        Pictures::Multipart,
        Pictures::Elsewhere("/snap/1.jpg".into()),
    ] {
        assert_eq!(answer_of(pictures.clone()).as_deref(), Ok(PICTURE), "{pictures:?}");
    }
}

#[test]
fn refusals_of_the_camera_are_explained() {
    for (pictures, words) in [
        (Pictures::Off, "503: the camera is busy, or its JPEG pictures are switched off"),
        (Pictures::Missing, "404: the camera has no /image.jpg"),
        (Pictures::CutShort, "closed the connection before its picture was complete"),
        (Pictures::NotJpeg, "the camera did not send a complete JPEG"),
        (Pictures::Endless, "the camera's picture is larger than 512 KB"),
        (Pictures::Elsewhere("/image.jpg".into()), "redirects more than 2 times"),
        (Pictures::Elsewhere("http://192.0.2.1/".into()), "redirects to another host"),
        (Pictures::Elsewhere("https://127.0.0.1/".into()), "or to https"),
    ] {
        let reason = answer_of(pictures.clone()).unwrap_err();
        assert!(reason.contains(words), "{pictures:?}: {reason}");
        assert!(reason.starts_with("http://127.0.0.1:"), "{reason}");
    }
}

#[test]
fn an_answer_that_took_long_is_not_forgotten_before_it_is_heard() {
    assert!(limits::SNAPSHOT_TIMEOUT >= limits::SNAPSHOT_IDLE_TIMEOUT, "else this shows nothing");
    let camera = http(Camera::builder());
    camera.set_pictures(Pictures::Silent);
    let reason = run(page(&camera, ""), async |snapshots, _| newest(&snapshots).await.unwrap_err());
    assert!(reason.ends_with("the camera sent no complete picture within 5 s"), "{reason}");
    assert_eq!(camera.picture_requests().len(), 1);
}

#[test]
fn a_camera_that_is_not_there_is_named() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = Target::http(&format!("http://127.0.0.1:{port}/a.jpg")).unwrap();
    let reason =
        run(PictureSources::page(target, 1), async |snapshots, _| newest(&snapshots).await);
    assert!(reason.unwrap_err().ends_with("cannot be reached: nothing is listening on that port"));
}

#[test]
fn user_and_password_answer_each_scheme_and_the_challenge_is_remembered() {
    for scheme in [Scheme::Basic, Scheme::Digest, Scheme::DigestSha256] {
        let camera = http(Camera::builder().auth(Auth::new(scheme, "admin", "p@ss")));
        run(page(&camera, "admin:p%40ss@"), async |snapshots, _| {
            assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE), "{scheme:?}");
            assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE), "{scheme:?}");
            assert_eq!(camera.picture_requests().len(), 2, "the second one is still young");
            runtime::sleep(INTERVAL).await;
            assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE), "{scheme:?}");
        });
        let statuses: Vec<u16> = camera.picture_requests().iter().map(|it| it.status).collect();
        assert_eq!(statuses, [401, 200, 200], "{scheme:?}");
    }
}

#[test]
fn a_wrong_password_is_said_in_words_and_not_tried_again_soon() {
    for (user, words, questions) in [
        ("admin:hunter2@", "the camera refuses user \"admin\" or the password", 2),
        ("", "the camera requires a user and password, but the URL has none", 1),
    ] {
        let camera = http(Camera::builder().auth(Auth::new(Scheme::Digest, "admin", "secret")));
        run(page(&camera, user), async |snapshots, _| {
            for _ in 0..4 {
                let reason = newest(&snapshots).await.unwrap_err();
                assert!(reason.contains(words) && !reason.contains("hunter2"), "{reason}");
                runtime::sleep(INTERVAL).await;
            }
        });
        assert_eq!(camera.picture_requests().len(), questions);
    }
}

#[test]
fn a_camera_that_comes_back_is_asked_an_interval_later() {
    let camera = http(Camera::builder());
    camera.set_pictures(Pictures::Off);
    run(page(&camera, ""), async |snapshots, _| {
        assert!(newest(&snapshots).await.is_err());
        camera.set_pictures(Pictures::Whole);
        assert!(newest(&snapshots).await.is_err(), "not asked again yet");
        runtime::sleep(INTERVAL).await;
        assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE));
    });
}

#[test]
fn the_address_that_majestic_has_is_guessed_and_remembered() {
    let camera = http(Camera::builder().stream("cam", Clip::built_in()));
    run(guesses(&camera), async |snapshots, _| {
        for _ in 0..2 {
            assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE));
            runtime::sleep(INTERVAL).await;
        }
    });
    let paths: Vec<String> = camera.picture_requests().into_iter().map(|it| it.path).collect();
    assert_eq!(paths, ["/image.jpg?width=640&height=360&qfactor=70"; 2]);
    assert!(camera.sessions().is_empty());
}

#[test]
fn if_no_guess_is_right_the_reason_names_all_and_none_is_retried_soon() {
    let camera = http(Camera::builder().stream("cam", Clip::built_in()));
    camera.set_pictures(Pictures::Off);
    run(guesses(&camera), async |snapshots, _| {
        for _ in 0..4 {
            let reason = newest(&snapshots).await.unwrap_err();
            let page = camera.picture_url().unwrap();
            assert!(reason.contains(&format!("no picture over HTTP ({page}: 503: ")), "{reason}");
            assert!(reason.contains("nor over RTSP (its stream has no JPEG track (only H264)"));
            runtime::sleep(INTERVAL).await;
        }
    });
    assert_eq!(camera.picture_requests().len(), 3);
}

#[test]
fn a_jpeg_stream_gives_pictures_for_as_long_as_somebody_looks() {
    let camera = http(Camera::builder().stream("cam", Clip::still(PICTURE)));
    camera.set_pictures(Pictures::Missing);
    run(guesses(&camera), async |snapshots, _| {
        for _ in 0..3 {
            assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE));
            runtime::sleep(INTERVAL).await;
        }
        assert_eq!(camera.sessions().len(), 1, "one session for all pictures");
        assert_eq!(camera.sessions()[0].state, SessionState::Playing);
        let last = runtime::now();
        until(|| camera.sessions()[0].state == SessionState::TornDown).await;
        assert!(last.elapsed() + 2 * INTERVAL > limits::SNAPSHOT_IDLE_TIMEOUT);
        assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE), "a viewer who comes later");
        assert_eq!(camera.sessions().len(), 2);
    });
}

#[test]
fn the_smaller_stream_may_be_the_one_with_pictures() {
    let camera = Camera::builder()
        .stream("cam", Clip::built_in())
        .stream("small", Clip::still(PICTURE))
        .http(0)
        .start()
        .unwrap();
    camera.set_pictures(Pictures::Off);
    let target = |name| camera.url(name).parse::<Target>().unwrap();
    let page = Target::http(&camera.picture_url().unwrap()).unwrap();
    let sources =
        PictureSources::guesses(&target("cam"), Some(&target("small")), page.port(), None, 1);
    run(sources, async |snapshots, _| {
        assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE));
    });
    let streams: Vec<String> = camera.sessions().into_iter().map(|it| it.stream).collect();
    assert_eq!(streams, ["small"]);
}

#[test]
fn a_jpeg_stream_that_breaks_off_is_found_again() {
    let camera = http(Camera::builder().stream("cam", Clip::still(PICTURE)));
    camera.set_pictures(Pictures::Missing);
    run(guesses(&camera), async |snapshots, _| {
        assert_eq!(newest(&snapshots).await.as_deref(), Ok(PICTURE));
        camera.disconnect_all();
        until(|| camera.sessions()[0].state != SessionState::Playing).await;
        runtime::sleep(INTERVAL).await;
        let mut answer = newest(&snapshots).await;
        if answer.is_err() {
            runtime::sleep(INTERVAL).await;
            answer = newest(&snapshots).await;
        }
        assert_eq!(answer.as_deref(), Ok(PICTURE));
        assert_eq!(camera.sessions().len(), 2);
    });
}

#[test]
fn snapshots_that_are_off_say_how_they_are_switched_on() {
    let text = "[[camera]]\nname = \"a\"\nurl = \"rtsp://127.0.0.1/\"\nsnapshot = \"off\"\n";
    let config = config::Config::parse(text, std::path::Path::new("x.toml")).unwrap();
    let reason = run(PictureSources::new(&config.camera[0], None, 1), async |snapshots, _| {
        newest(&snapshots).await.unwrap_err()
    });
    assert!(reason.contains("snapshot = \"off\""), "{reason}");
}
