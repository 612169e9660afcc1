//! Evidence for people and programs: tables before and after training (`summary`), of studies (`studies`) and of what lies in
//! folders (`catalog`), the form they share (`table`), and curves as text (`text_curves`); what is known of a run (`run_report`,
//! with what its images show, `examination` and `verdicts`) or a study (`study_report`), drawn (`plots`, and `overlays` of several runs), told in one page (`page`),
//! written (`files`) or served (`live`); and what TensorBoard shows of a run (`tensorboard`).

pub mod catalog;
pub mod examination;
pub mod files;
pub mod findings;
pub mod live;
mod overlays;
pub mod page;
pub mod plots;
pub mod reference;
pub mod run_report;
pub mod studies;
pub mod study_report;
pub mod summary;
pub mod table;
pub mod tensorboard;
pub mod text_curves;
pub mod verdicts;
