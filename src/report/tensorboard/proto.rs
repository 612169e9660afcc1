//! The messages in TensorBoard's event files, by their numbers in `tensorflow/core/util/event.proto`,
//! `framework/{summary,histogram,tensor,tensor_shape,types}.proto`, and, of hyperparameters, in
//! `tensorboard/plugins/hparams/{api,plugin_data}.proto`.
//!
//! Scalars, images and histograms have the older form, which every reader takes and TensorBoard turns into the newer one.

use std::collections::BTreeMap;

use prost::Message;

/// `tensorflow.Event`. Of its `oneof what` we write the version of the file, or a summary.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EventProto {
    /// Seconds since 1970, in UTC.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    #[prost(int64, tag = "2")]
    pub step: i64,
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub summary: Option<SummaryProto>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SummaryProto {
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<ValueProto>,
}

/// `tensorflow.Summary.Value`. Of its `oneof value` one is there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueProto {
    #[prost(string, tag = "1")]
    pub tag: String,
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    pub image: Option<ImageProto>,
    #[prost(message, optional, tag = "5")]
    pub histo: Option<HistogramProto>,
    #[prost(message, optional, tag = "8")]
    pub tensor: Option<TensorProto>,
    #[prost(message, optional, tag = "9")]
    pub metadata: Option<MetadataProto>,
}

/// `tensorflow.Summary.Image`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageProto {
    #[prost(int32, tag = "1")]
    pub height: i32,
    #[prost(int32, tag = "2")]
    pub width: i32,
    /// Channels: 3 is RGB.
    #[prost(int32, tag = "3")]
    pub colorspace: i32,
    /// The file.
    #[prost(bytes = "vec", tag = "4")]
    pub encoded_image_string: Vec<u8>,
}

/// `tensorflow.HistogramProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HistogramProto {
    #[prost(double, tag = "1")]
    pub min: f64,
    #[prost(double, tag = "2")]
    pub max: f64,
    #[prost(double, tag = "3")]
    pub num: f64,
    #[prost(double, tag = "4")]
    pub sum: f64,
    #[prost(double, tag = "5")]
    pub sum_squares: f64,
    /// Where each bucket ends; the first begins at `min`.
    #[prost(double, repeated, tag = "6")]
    pub bucket_limit: Vec<f64>,
    /// How many numbers lie in it.
    #[prost(double, repeated, tag = "7")]
    pub bucket: Vec<f64>,
}

/// `tensorflow.TensorProto`: strings, or nothing at all.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorProto {
    /// 1 is float32, 7 a string.
    #[prost(int32, tag = "1")]
    pub dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub tensor_shape: Option<ShapeProto>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub string_val: Vec<Vec<u8>>,
}

/// `tensorflow.TensorShapeProto`; without a dimension it is a scalar's.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ShapeProto {
    #[prost(message, repeated, tag = "2")]
    pub dim: Vec<DimensionProto>,
}

/// `tensorflow.TensorShapeProto.Dim`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct DimensionProto {
    #[prost(int64, tag = "1")]
    pub size: i64,
}

/// `tensorflow.SummaryMetadata`: who shows a value.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetadataProto {
    #[prost(message, optional, tag = "1")]
    pub plugin_data: Option<PluginProto>,
}

/// `tensorflow.SummaryMetadata.PluginData`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PluginProto {
    #[prost(string, tag = "1")]
    pub plugin_name: String,
    /// A message of the plugin's own.
    #[prost(bytes = "vec", tag = "2")]
    pub content: Vec<u8>,
}

/// `tensorboard.hparams.HParamsPluginData`. Of its `oneof data` one is there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HparamsProto {
    #[prost(message, optional, tag = "3")]
    pub session_start_info: Option<SessionStartProto>,
    #[prost(message, optional, tag = "4")]
    pub session_end_info: Option<SessionEndProto>,
}

/// `tensorboard.hparams.SessionStartInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionStartProto {
    #[prost(btree_map = "string, message", tag = "1")]
    pub hparams: BTreeMap<String, SettingProto>,
    /// Seconds since 1970, in UTC.
    #[prost(double, tag = "5")]
    pub start_time_secs: f64,
}

/// `tensorboard.hparams.SessionEndInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionEndProto {
    /// 1 is success.
    #[prost(int32, tag = "1")]
    pub status: i32,
    /// Seconds since 1970, in UTC.
    #[prost(double, tag = "2")]
    pub end_time_secs: f64,
}

/// `google.protobuf.Value`. Of its `oneof kind` one is there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SettingProto {
    #[prost(double, optional, tag = "2")]
    pub number_value: Option<f64>,
    #[prost(string, optional, tag = "3")]
    pub string_value: Option<String>,
    #[prost(bool, optional, tag = "4")]
    pub bool_value: Option<bool>,
}

impl ValueProto {
    /// A number.
    pub fn scalar(tag: &str, number: f64) -> ValueProto {
        ValueProto {
            tag: tag.to_owned(),
            simple_value: Some(number as f32),
            ..ValueProto::default()
        }
    }

    /// A PNG file of colours. Its header says, sixteen bytes in, how wide and high it is.
    pub fn image(tag: &str, png: Vec<u8>) -> ValueProto {
        let side = |at: usize| {
            let bytes = png.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, i32::from_be_bytes)
        };
        ValueProto {
            tag: tag.to_owned(),
            image: Some(ImageProto {
                width: side(16),
                height: side(20),
                colorspace: 3,
                encoded_image_string: png,
            }),
            ..ValueProto::default()
        }
    }

    /// How numbers are distributed.
    pub fn histogram(tag: &str, histogram: HistogramProto) -> ValueProto {
        ValueProto {
            tag: tag.to_owned(),
            histo: Some(histogram),
            ..ValueProto::default()
        }
    }

    /// A text in Markdown.
    pub fn text(tag: &str, text: String) -> ValueProto {
        let tensor = TensorProto {
            dtype: 7,
            tensor_shape: Some(ShapeProto::default()),
            string_val: vec![text.into_bytes()],
        };
        ValueProto::of_plugin(tag, "text", Vec::new(), tensor)
    }

    /// What the plugin for hyperparameters reads of a run, which are no numbers of a step but metadata of an empty tensor.
    pub fn hparams(tag: &str, message: &HparamsProto) -> ValueProto {
        let empty = TensorProto {
            dtype: 1,
            tensor_shape: Some(ShapeProto {
                dim: vec![DimensionProto { size: 0 }],
            }),
            string_val: Vec::new(),
        };
        ValueProto::of_plugin(tag, "hparams", message.encode_to_vec(), empty)
    }

    fn of_plugin(tag: &str, plugin: &str, content: Vec<u8>, tensor: TensorProto) -> ValueProto {
        ValueProto {
            tag: tag.to_owned(),
            tensor: Some(tensor),
            metadata: Some(MetadataProto {
                plugin_data: Some(PluginProto {
                    plugin_name: plugin.to_owned(),
                    content,
                }),
            }),
            ..ValueProto::default()
        }
    }
}
