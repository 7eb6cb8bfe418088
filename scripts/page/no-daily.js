// The page brings its own media manager, so Daily's, which loads code from elsewhere at run time, is left out.
export default {};
