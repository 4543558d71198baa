//! The laws of ARCHITECTURE.md that can be read off the sources. Each test
//! names every place that breaks one.

mod tidy {
    mod boundary;
    mod building;
    mod documents;
    mod form;
    mod interface;
    mod limits;
    mod mirror;
    mod rooms;
    mod source;
}
