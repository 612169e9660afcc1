//! The safe face of libjpeg-turbo, which Pillow, browsers and torchvision decode with (by `mozjpeg-sys`, whose decoder
//! is libjpeg-turbo's; with its vector code where `nasm` was there to assemble it, to the same pixels without).
//!
//! libjpeg reports an error by a call that must not return. Ours unwinds through it to the nearest `catch_unwind`,
//! which `mozjpeg-sys` compiles the C code for. What libjpeg only warns of, and then paints over with grey, is an
//! error here: a classifier should not learn from pixels that are not in the file.

use std::cell::UnsafeCell;
use std::ffi::{CStr, c_int, c_ulong};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use mozjpeg_sys as sys;
use mozjpeg_sys::{J_COLOR_SPACE, jpeg_common_struct, jpeg_decompress_struct, jpeg_error_mgr};

/// The APP1 segments, where EXIF and XMP lie.
const APP1: c_int = 0xE1;

/// The APP2 segments, where profiles of colour lie.
const APP2: c_int = 0xE2;

/// What a part of a profile of colour begins with (ICC.1:2022, annex B.4).
const PROFILE: &[u8] = b"ICC_PROFILE\0";

/// Longest segment there is, in bytes: its length is 16 bits that count themselves.
const LONGEST_SEGMENT: u32 = 0xFFFF;

/// Most scans of one image. A progressive file has about ten; more only take time, as crafted files do (the same
/// limit as in libjpeg-turbo's fuzz targets).
const MOST_SCANS: c_int = 500;

/// Why a file gives no pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A whole file of a kind that libjpeg does not decode.
    Unsupported(String),
    /// A file that is cut, or holds what no JPEG may hold.
    Damaged(String),
}

/// What the bytes of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// One byte: grey.
    Gray,
    /// Three bytes: red, green, blue.
    Rgb,
    /// Four bytes: cyan, magenta, yellow, black, as stored (Adobe's programs store them inverted).
    Cmyk,
}

/// What libjpeg works with. Its parts point to each other, so it stays where it is.
struct DecoderState {
    info: jpeg_decompress_struct,
    errors: jpeg_error_mgr,
    progress: sys::jpeg_progress_mgr,
}

/// A JPEG whose header was read.
pub struct Jpeg<'b> {
    state: *mut DecoderState,
    color: Color,
    bytes: PhantomData<&'b [u8]>,
}

impl<'b> Jpeg<'b> {
    /// Reads what stands before the first scan of `bytes`.
    ///
    /// # Errors
    /// Bytes that are no JPEG, are damaged, or of a kind that cannot be decoded.
    pub fn open(bytes: &'b [u8]) -> Result<Jpeg<'b>, Refusal> {
        // SAFETY: plain C structs, which may start as zeros; libjpeg fills them in.
        let state = Box::new(unsafe { std::mem::zeroed::<DecoderState>() });
        let mut jpeg = Jpeg {
            state: Box::into_raw(state),
            color: Color::Gray,
            bytes: PhantomData,
        };
        let state = jpeg.state;
        guarded(|| {
            // SAFETY: `state` and `bytes` outlive every use by libjpeg, because `Drop` ends it. Nothing runs on after an
            // error.
            unsafe {
                let info = &raw mut (*state).info;
                sys::jpeg_std_error(&mut (*state).errors);
                (*state).errors.error_exit = Some(stop);
                (*state).errors.emit_message = Some(weigh);
                (*state).progress.progress_monitor = Some(count_scans);
                (*info).common.err = &raw mut (*state).errors;
                sys::jpeg_create_decompress(info);
                (*info).common.progress = &raw mut (*state).progress;
                sys::jpeg_mem_src(&mut *info, bytes.as_ptr(), bytes.len() as c_ulong);
                sys::jpeg_save_markers(&mut *info, APP1, LONGEST_SEGMENT);
                sys::jpeg_save_markers(&mut *info, APP2, PROFILE.len() as u32);
                sys::jpeg_read_header(&mut *info, 1);
            }
        })?;
        jpeg.color = match jpeg.info().num_components {
            1 => Color::Gray,
            3 => Color::Rgb,
            4 => Color::Cmyk,
            other => return Err(Refusal::Unsupported(format!("{other} components"))),
        };
        Ok(jpeg)
    }

    fn info(&self) -> &jpeg_decompress_struct {
        // SAFETY: it lives as long as this, and libjpeg only writes to it while `self` is borrowed mutably.
        unsafe { &(*self.state).info }
    }

    /// Pixels from left to right and from top to bottom, as stored.
    pub fn size(&self) -> (u32, u32) {
        (self.info().image_width, self.info().image_height)
    }

    /// What the bytes of a pixel will be.
    pub fn color(&self) -> Color {
        self.color
    }

    /// Bytes that decoding takes: the pixels, and, where they come in several scans, two bytes for every coefficient.
    pub fn memory(&self) -> u64 {
        let (width, height) = self.size();
        let samples = u64::from(width)
            * u64::from(height)
            * u64::from(self.info().num_components.unsigned_abs());
        // SAFETY: the header was read.
        match unsafe { sys::jpeg_has_multiple_scans(self.info()) } {
            0 => samples,
            _ => 3 * samples,
        }
    }

    /// The APP1 segments before the first scan, without marker and length, in their order.
    pub fn app1(&self) -> Vec<&[u8]> {
        self.segments(APP1)
    }

    /// Whether it has a profile of colours.
    pub fn has_profile(&self) -> bool {
        let segments = self.segments(APP2);
        segments.iter().any(|segment| segment.starts_with(PROFILE))
    }

    fn segments(&self, marker: c_int) -> Vec<&[u8]> {
        let mut segments = Vec::new();
        let mut at = self.info().marker_list;
        // SAFETY: a list that libjpeg keeps until `Drop`, ended by a null pointer.
        while let Some(segment) = unsafe { at.as_ref() } {
            // SAFETY: libjpeg saved so many bytes there.
            let data =
                unsafe { std::slice::from_raw_parts(segment.data, segment.data_length as usize) };
            if c_int::from(segment.marker) == marker {
                segments.push(data);
            }
            at = segment.next;
        }
        segments
    }

    /// All pixels, row by row, of the image in its full size, or divided by 2, 4 or 8 and rounded up: then libjpeg computes so
    /// many fewer of them from each block.
    ///
    /// # Errors
    /// A file that is damaged or cut anywhere.
    pub fn decode(self, divisor: u32) -> Result<Vec<u8>, Refusal> {
        let (wanted, depth) = match self.color {
            Color::Gray => (J_COLOR_SPACE::JCS_GRAYSCALE, 1),
            Color::Rgb => (J_COLOR_SPACE::JCS_RGB, 3),
            Color::Cmyk => (J_COLOR_SPACE::JCS_CMYK, 4),
        };
        let (width, height) = self.size();
        let [width, height] = [width, height].map(|side| side.div_ceil(divisor));
        let row = width as usize * depth;
        let mut pixels = vec![0; row * height as usize];
        let state = self.state;
        let tables = self.quantisation();
        guarded(|| {
            // SAFETY: the header was read, and every row that libjpeg writes is a row of `pixels`, whose width and depth
            // are what it was asked for.
            unsafe {
                let info = &mut (*state).info;
                info.out_color_space = wanted;
                (info.scale_num, info.scale_denom) = (1, divisor);
                sys::jpeg_start_decompress(info);
                // What it rounds otherwise than we do ends with an error of its own, since rows are left.
                if (info.output_width, info.output_height) == (width, height) {
                    for line in pixels.chunks_exact_mut(row) {
                        let mut line = line.as_mut_ptr();
                        sys::jpeg_read_scanlines(info, &raw mut line, 1);
                    }
                }
                sys::jpeg_finish_decompress(info);
            }
        })?;
        // libjpeg-turbo and the descendant we have go apart there.
        if tables != self.quantisation() {
            let words = "other quantisation tables between scans";
            return Err(Refusal::Unsupported(words.to_owned()));
        }
        Ok(pixels)
    }

    /// The steps of every quantisation table read so far; zeros where there is none.
    fn quantisation(&self) -> Vec<[u16; 64]> {
        // SAFETY: tables of libjpeg, which keeps them until `Drop`, or null pointers.
        let tables = self
            .info()
            .quant_tbl_ptrs
            .iter()
            .map(|table| unsafe { table.as_ref() });
        tables
            .map(|table| table.map_or([0; 64], |table| table.quantval))
            .collect()
    }
}

impl Drop for Jpeg<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw`. libjpeg can be ended at any point, also before it was begun, because all is zero
        // then.
        unsafe {
            sys::jpeg_destroy_decompress(&mut (*self.state).info);
            drop(Box::from_raw(self.state));
        }
    }
}

/// Runs calls of libjpeg, one of which may stop.
fn guarded(calls: impl FnOnce()) -> Result<(), Refusal> {
    catch_unwind(AssertUnwindSafe(calls)).map_err(|payload| match payload.downcast::<Refusal>() {
        Ok(refusal) => *refusal,
        Err(other) => resume_unwind(other),
    })
}

/// libjpeg's `error_exit`, which must not return.
unsafe extern "C-unwind" fn stop(info: &mut jpeg_common_struct) {
    let (code, words) = message(info);
    let refusal = match code {
        sys::JERR_SOF_UNSUPPORTED
        | sys::JERR_BAD_PRECISION
        | sys::JERR_FRACT_SAMPLE_NOTIMPL
        | sys::JERR_CCIR601_NOTIMPL
        | sys::JERR_COMPONENT_COUNT
        | sys::JERR_CONVERSION_NOTIMPL
        | sys::JERR_EMPTY_IMAGE
        | sys::JERR_BAD_MCU_SIZE => Refusal::Unsupported(words),
        _ => Refusal::Damaged(words),
    };
    // Not a panic: nothing is printed.
    resume_unwind(Box::new(refusal));
}

/// libjpeg's `emit_message`: a negative level is a warning about the data.
unsafe extern "C-unwind" fn weigh(info: &mut jpeg_common_struct, level: c_int) {
    if level >= 0 {
        return;
    }
    let (code, words) = message(info);
    let harmless = [
        sys::JWRN_EXTRANEOUS_DATA, // bytes between segments, as some cameras leave there: no pixel is missing
        sys::JWRN_ADOBE_XFORM,
        sys::JWRN_JFIF_MAJOR,
        sys::JWRN_BOGUS_ICC,
    ];
    if !harmless.contains(&code) {
        resume_unwind(Box::new(Refusal::Damaged(words)));
    }
}

/// Called by libjpeg every few rows.
unsafe extern "C-unwind" fn count_scans(info: &mut jpeg_common_struct) {
    // SAFETY: only ever installed in a `jpeg_decompress_struct`, which begins with this one.
    let info = unsafe { &*(&raw const *info).cast::<jpeg_decompress_struct>() };
    if info.input_scan_number > MOST_SCANS {
        let words = format!("more than {MOST_SCANS} scans");
        resume_unwind(Box::new(Refusal::Damaged(words)));
    }
}

/// Number and text of what libjpeg has to say.
fn message(info: &mut jpeg_common_struct) -> (sys::J_MESSAGE_CODE, String) {
    // The binding says 80 bytes that are only read; libjpeg writes up to 200 (JMSG_LENGTH_MAX).
    let buffer = UnsafeCell::new([0u8; 200]);
    // SAFETY: `err` was set by `open`, and libjpeg filled it in before it called us. The buffer is as long as libjpeg takes
    // it to be, and holds a C string afterwards.
    unsafe {
        let errors = &*info.err;
        let code = errors.msg_code as sys::J_MESSAGE_CODE;
        let Some(format) = errors.format_message else {
            return (code, format!("code {code}"));
        };
        format(info, &*buffer.get().cast());
        let text = CStr::from_ptr(buffer.get().cast());
        (code, text.to_string_lossy().into_owned())
    }
}
