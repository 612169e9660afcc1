//! The place on a terminal where bars are drawn, which may be resized meanwhile.
//!
//! indicatif fills each line up to the width, lets the terminal wrap, and moves up again by the lines it has counted. A
//! terminal that becomes narrower or wider wraps or joins such lines, so that other lines are cleared than were drawn.
//! Here each line is short, and the cursor waits at the start of the first one. Terminals keep it there when they wrap
//! lines anew, and whatever follows it is cleared before the next frame.

use std::fmt::Debug;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use console::{Term, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, TermLike};

use crate::messages;

/// The longest time that a terminal shows what a change of its size made of the bars.
const TICK: Duration = Duration::from_millis(200);

/// Draws what indicatif has to show; standard error is a terminal.
#[derive(Debug)]
struct Screen {
    terminal: Term,
    frame: Mutex<Frame>,
}

/// What has come of the next frame.
#[derive(Debug, Default)]
struct Frame {
    lines: Vec<String>,
    line: String,
}

/// Where bars are to be drawn: on standard error, or nowhere if that is no terminal, or one that cannot draw
/// (TERM=dumb).
pub fn target() -> ProgressDrawTarget {
    const FRAMES_PER_SECOND: u8 = 20;
    if ProgressDrawTarget::stderr().is_hidden() {
        return ProgressDrawTarget::hidden();
    }
    // Of a terminal that it did not open itself indicatif believes that it is standard output.
    console::set_colors_enabled(console::colors_enabled_stderr());
    let screen = Screen {
        terminal: Term::stderr(),
        frame: Mutex::default(),
    };
    ProgressDrawTarget::term_like_with_hz(Box::new(screen), FRAMES_PER_SECOND)
}

/// A place for bars, below an empty line.
pub fn open() -> MultiProgress {
    crate::status!("");
    MultiProgress::with_draw_target(target())
}

/// Columns that a line may take: few, so that it seldom has to be wrapped, and fewer than the terminal has.
pub fn columns() -> usize {
    const MOST: usize = 60;
    usize::from(Term::stderr().size().1)
        .saturating_sub(1)
        .clamp(1, MOST)
}

/// Has `bar`, and all that stand with it, drawn again from time to time, even while nothing else happens.
pub fn keep_drawn(bar: &ProgressBar) {
    bar.enable_steady_tick(TICK);
}

/// Takes `bars` away, and draws none until they get another target; of them `ticking` was [kept drawn](keep_drawn).
pub fn clear(bars: &MultiProgress, ticking: &ProgressBar) {
    ticking.disable_steady_tick();
    let _ = bars.clear();
    bars.set_draw_target(ProgressDrawTarget::hidden());
}

/// `lines`, each cut to `columns`, with the cursor back at the start of the first.
fn painted(lines: &[String], columns: usize) -> String {
    let cut = lines.iter().map(|line| truncate_str(line, columns, ""));
    let cut: Vec<_> = cut.collect();
    let back = match lines.len() {
        0 | 1 => String::new(),
        count => format!("\x1b[{}A", count - 1),
    };
    // A terminal may be narrower than it has told yet, so it is kept from wrapping meanwhile.
    format!("\x1b[?7l{}\x1b[?7h\r{back}", cut.join("\r\n"))
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        columns() as u16
    }

    fn height(&self) -> u16 {
        self.terminal.size().0
    }

    // Each frame is whole, and begins where the one before it did.
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.write_str("")
    }

    /// Text of a line, or the blanks, perhaps none, that fill it up.
    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        if text.trim_matches(' ').is_empty() {
            let line = std::mem::take(&mut frame.line);
            frame.lines.push(line);
        } else {
            frame.line += text;
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut *frame).lines;
        let text = painted(&lines, columns());
        messages::paint((!lines.is_empty()).then_some(&*text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_keeps_to_its_columns_and_leaves_the_cursor_at_its_start() {
        let lines = ["epoch 1/9".to_owned(), "\x1b[36m고양이\x1b[0m".to_owned()];
        let shown = painted(&lines, 5);
        assert_eq!(
            shown,
            "\x1b[?7lepoch\r\n\x1b[36m고양\x1b[0m\x1b[?7h\r\x1b[1A"
        );
    }

    #[test]
    fn what_indicatif_draws_comes_as_its_lines() {
        let screen = Screen {
            terminal: Term::stderr(),
            frame: Mutex::default(),
        };
        // As a bar that fills its line, and one that does not.
        for text in ["full", "", "short", "   "] {
            screen.write_str(text).unwrap();
        }
        assert_eq!(screen.frame.lock().unwrap().lines, ["full", "short"]);
    }
}
