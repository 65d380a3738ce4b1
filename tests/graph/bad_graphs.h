/* bad_graphs.h - bad graphs and all that must be said about them. */

static const struct bad_graph bad_graphs[] = {
    {"unknown stage class, option and key",
     "name: bad\n"
     "sede: 3\n"
     "stages:\n"
     "  cases: {use: t_laod, dataset: x}\n"
     "  more: {use: t_load, dataset: x, splti: train}\n"
     "  cut: {use: t_cut, form: more}\n",
     {NULL},
     "g.yaml:2:1: a graph has no key 'sede'; did you mean 'seed'?\n"
     "    sede: 3\n"
     "    ^~~~\n"
     "g.yaml:4:16: there is no stage 't_laod' to use; did you mean 't_load'?\n"
     "      cases: {use: t_laod, dataset: x}\n"
     "                   ^~~~~~\n"
     "g.yaml:5:35: stage 'more' (t_load) has no option 'splti'; did you mean 'split'?\n"
     "      more: {use: t_load, dataset: x, splti: train}\n"
     "                                      ^~~~~\n"
     "g.yaml:6:21: stage 'cut' (t_cut) has no option 'form'; did you mean 'from'?\n"
     "      cut: {use: t_cut, form: more}\n"
     "                        ^~~~\n"},
    {"types, ranges and units",
     "stages:\n"
     "  cases: {use: t_load, dataset: [x], split: tarin, tumors: maybe}\n"
     "  prepared:\n"
     "    use: t_prepare\n"
     "    from: cases\n"
     "    window: [-2000, 250]\n"
     "    smooth: 2 mm\n"
     "    size: 12.5\n"
     "  more: {use: t_prepare, from: cases, window: [1, 2, 3], smooth: -1, size: many}\n"
     "  cut: {use: t_cut, from: cases, value: 1.5, min_volume: 20 HU, gate: {a: 1}}\n"
     "  huge: {use: t_cut, from: cases, value: 5 mm, min_volume: -3 ml}\n",
     {NULL},
     "g.yaml:2:33: 'dataset' of stage 'cases' (t_load) must be a text, not a list\n"
     "      cases: {use: t_load, dataset: [x], split: tarin, tumors: maybe}\n"
     "                                    ^\n"
     "g.yaml:2:45: 'split' of stage 'cases' (t_load) must be one of train, test, all, not 'tarin'; "
     "did you mean 'train'?\n"
     "      cases: {use: t_load, dataset: [x], split: tarin, tumors: maybe}\n"
     "                                                ^~~~~\n"
     "g.yaml:2:60: 'tumors' of stage 'cases' (t_load) must be true or false, not 'maybe'\n"
     "      cases: {use: t_load, dataset: [x], split: tarin, tumors: maybe}\n"
     "                                                               ^~~~~\n"
     "g.yaml:6:14: 'window' of stage 'prepared' (t_prepare) must be -1024 to 3071 HU, not '-2000'\n"
     "        window: [-2000, 250]\n"
     "                 ^~~~~\n"
     "g.yaml:7:13: 'smooth' of stage 'prepared' (t_prepare) is in px, not in 'mm'\n"
     "        smooth: 2 mm\n"
     "                ^\n"
     "g.yaml:8:11: 'size' of stage 'prepared' (t_prepare) must be a whole number, not '12.5'\n"
     "        size: 12.5\n"
     "              ^~~~\n"
     "g.yaml:9:47: 'window' of stage 'more' (t_prepare) must have 2 items, not 3\n"
     "      more: {use: t_prepare, from: cases, window: [1, 2, 3], smooth: -1, size: many}\n"
     "                                                  ^\n"
     "g.yaml:9:66: 'smooth' of stage 'more' (t_prepare) must be at least 0 px, not '-1'\n"
     "      more: {use: t_prepare, from: cases, window: [1, 2, 3], smooth: -1, size: many}\n"
     "                                                                     ^~\n"
     "g.yaml:9:76: 'size' of stage 'more' (t_prepare) must be a whole number, not 'many'\n"
     "      more: {use: t_prepare, from: cases, window: [1, 2, 3], smooth: -1, size: many}\n"
     "                                                                               ^~~~\n"
     "g.yaml:10:41: 'value' of stage 'cut' (t_cut) must be 0 to 1, not '1.5'\n"
     "      cut: {use: t_cut, from: cases, value: 1.5, min_volume: 20 HU, gate: {a: 1}}\n"
     "                                            ^~~\n"
     "g.yaml:10:58: 'min_volume' of stage 'cut' (t_cut) is in mm3, not in 'HU'\n"
     "      cut: {use: t_cut, from: cases, value: 1.5, min_volume: 20 HU, gate: {a: 1}}\n"
     "                                                             ^~\n"
     "g.yaml:10:71: 'gate' of stage 'cut' (t_cut) must be a list of names, not a map\n"
     "      cut: {use: t_cut, from: cases, value: 1.5, min_volume: 20 HU, gate: {a: 1}}\n"
     "                                                                          ^\n"
     "g.yaml:11:42: 'value' of stage 'huge' (t_cut) must be a number without a unit, not '5 mm'\n"
     "      huge: {use: t_cut, from: cases, value: 5 mm, min_volume: -3 ml}\n"
     "                                             ^\n"
     "g.yaml:11:60: 'min_volume' of stage 'huge' (t_cut) must be 0 to 1000000 mm3, not '-3 ml'\n"
     "      huge: {use: t_cut, from: cases, value: 5 mm, min_volume: -3 ml}\n"
     "                                                               ^~\n"},
    {"what is missing",
     "stages:\n"
     "  cases: {use: t_load}\n"
     "  alone: {use: t_prepare}\n"
     "  model: {use: t_train, from: other}\n"
     "  nothing: {}\n"
     "  apply: {use: t_apply, from: other}\n"
     "  other: {use: t_load, dataset: x}\n"
     "  word: 5\n",
     {NULL},
     "g.yaml:2:3: stage 'cases' (t_load) needs the option 'dataset': The manifest.\n"
     "      cases: {use: t_load}\n"
     "      ^~~~~\n"
     "g.yaml:3:3: stage 'alone' (t_prepare) needs 'from': the stage whose samples it takes\n"
     "      alone: {use: t_prepare}\n"
     "      ^~~~~\n"
     "g.yaml:4:3: stage 'model' (t_train) needs the option 'inputs': What the network sees.\n"
     "      model: {use: t_train, from: other}\n"
     "      ^~~~~\n"
     "g.yaml:4:3: stage 'model' (t_train) needs the option 'target': What it learns.\n"
     "      model: {use: t_train, from: other}\n"
     "      ^~~~~\n"
     "g.yaml:5:3: stage 'nothing' needs 'use': the name of a stage\n"
     "      nothing: {}\n"
     "      ^~~~~~~\n"
     "g.yaml:6:3: stage 'apply' (t_apply) needs 'model': a stage that yields one (model)\n"
     "      apply: {use: t_apply, from: other}\n"
     "      ^~~~~\n"
     "g.yaml:8:3: stage 'word' must be a map such as {use: load}\n"
     "      word: 5\n"
     "      ^~~~\n"},
    {"inputs",
     "stages:\n"
     "  a: {use: t_load, dataset: x}\n"
     "  b: {use: t_load, dataset: x, from: a}\n"
     "  c: {use: t_prepare, from: [a, b]}\n"
     "  d: {use: t_mix, from: [a, a]}\n"
     "  e: {use: t_prepare, from: aa}\n"
     "  s: {use: t_save, from: a}\n"
     "  f: {use: t_prepare, from: s}\n"
     "  m: {use: t_train, from: a, inputs: image, target: liver}\n"
     "  g: {use: t_prepare, from: m}\n"
     "  h: {use: t_mix, from: [a, c], weights: [1]}\n"
     "  i: {use: t_mix, from: [a, c], weights: [1, 0]}\n"
     "  j: {use: t_save, from: a, weights: [1]}\n",
     {NULL},
     "g.yaml:3:38: stage 'b' (t_load) takes no samples: leave 'from' out\n"
     "      b: {use: t_load, dataset: x, from: a}\n"
     "                                         ^\n"
     "g.yaml:4:33: stage 'c' (t_prepare) takes one input, not 2: put a mix before it\n"
     "      c: {use: t_prepare, from: [a, b]}\n"
     "                                    ^\n"
     "g.yaml:5:29: 'from' names 'a' twice\n"
     "      d: {use: t_mix, from: [a, a]}\n"
     "                                ^\n"
     "g.yaml:6:29: the graph has no stage 'aa'; did you mean 'a'?\n"
     "      e: {use: t_prepare, from: aa}\n"
     "                                ^~\n"
     "g.yaml:8:29: 's' (t_save) hands on no samples\n"
     "      f: {use: t_prepare, from: s}\n"
     "                                ^\n"
     "g.yaml:10:29: 'm' (t_train) hands on no samples, but a model: 'model: m'\n"
     "      g: {use: t_prepare, from: m}\n"
     "                                ^\n"
     "g.yaml:11:42: 'weights' takes a list of 2 numbers, one for each input\n"
     "      h: {use: t_mix, from: [a, c], weights: [1]}\n"
     "                                             ^\n"
     "g.yaml:12:46: a weight is a number above 0, not '0'\n"
     "      i: {use: t_mix, from: [a, c], weights: [1, 0]}\n"
     "                                                 ^\n"
     "g.yaml:13:38: 'weights' are of stages that mix several inputs, not of t_save\n"
     "      j: {use: t_save, from: a, weights: [1]}\n"
     "                                         ^\n"},
    {"models",
     "stages:\n"
     "  a: {use: t_load, dataset: x}\n"
     "  m: {use: t_train, from: a, inputs: [image, tumor], target: liver}\n"
     "  plain: {use: t_load, dataset: x, tumors: no}\n"
     "  x: {use: t_apply, from: plain, model: m}\n"
     "  y: {use: t_apply, from: a, model: plain}\n"
     "  z: {use: t_apply, from: a, model: mm}\n"
     "  w: {use: t_prepare, from: a, model: m}\n"
     "  s: {use: t_save, from: x}\n",
     {NULL},
     "g.yaml:5:41: model 'm' was trained on [image, tumor]; 'tumor' is not on the edge from "
     "'plain' (which carries image, liver, truth, annotation)\n"
     "      x: {use: t_apply, from: plain, model: m}\n"
     "                                            ^\n"
     "g.yaml:6:37: 'plain' (t_load) yields no model; these do: m\n"
     "      y: {use: t_apply, from: a, model: plain}\n"
     "                                        ^~~~~\n"
     "g.yaml:7:37: the graph has no stage 'mm'; did you mean 'm'?\n"
     "      z: {use: t_apply, from: a, model: mm}\n"
     "                                        ^~\n"
     "g.yaml:8:39: stage 'w' (t_prepare) takes no model\n"
     "      w: {use: t_prepare, from: a, model: m}\n"
     "                                          ^\n"},
    {"fields",
     "stages:\n"
     "  cases: {use: t_load, dataset: x}\n"
     "  cut: {use: t_cut, from: cases, field: scoer}\n"
     "  typed: {use: t_cut, from: cases, field: liver}\n"
     "  gated: {use: t_cut, from: cases, field: image, gate: [liver, segmnts]}\n"
     "  placed: {use: t_cut, from: cases, field: truth}\n"
     "  masked: {use: t_mask, from: cases}\n"
     "  shed: {use: t_shed, from: masked}\n"
     "  holes: {use: t_holes, from: shed}\n"
     "  model: {use: t_train, from: masked, inputs: [image, clen], target: tumor, weight: liver}\n"
     "  long: {use: t_cut, from: cases, field: image, output: "
     "a_name_that_is_longer_than_any_field}\n"
     "  down: {use: t_cut, from: holes, field: nowhere}\n"
     "  save: {use: t_save, from: shed, fields: [segments, clean]}\n",
     {NULL},
     "g.yaml:3:41: stage 'cut' (t_cut) reads 'scoer', which is not on the edge from 'cases'; it "
     "carries image, liver, tumor, truth, annotation\n"
     "      cut: {use: t_cut, from: cases, field: scoer}\n"
     "                                            ^~~~~\n"
     "g.yaml:4:43: stage 'typed' (t_cut) reads 'liver' as f32; on the edge from 'cases' it is u8\n"
     "      typed: {use: t_cut, from: cases, field: liver}\n"
     "                                              ^~~~~\n"
     "g.yaml:5:64: stage 'gated' (t_cut) reads 'segmnts', which is not on the edge from 'cases'; "
     "it carries image, liver, tumor, truth, annotation\n"
     "      gated: {use: t_cut, from: cases, field: image, gate: [liver, segmnts]}\n"
     "                                                                   ^~~~~~~\n"
     "g.yaml:6:44: stage 'placed' (t_cut) reads 'truth' as f32; on the edge from 'cases' it is u8\n"
     "      placed: {use: t_cut, from: cases, field: truth}\n"
     "                                               ^~~~~\n"
     "g.yaml:9:3: stage 'holes' (t_holes) reads 'clean', which is not on the edge from 'shed' (it "
     "was last on the edge from 'masked'); it carries image, liver, tumor, truth, segments\n"
     "      holes: {use: t_holes, from: shed}\n"
     "      ^~~~~\n"
     "g.yaml:10:55: stage 'model' (t_train) reads 'clen', which is not on the edge from 'masked'; "
     "it carries image, liver, tumor, truth, annotation, segments, clean; did you mean 'clean'?\n"
     "      model: {use: t_train, from: masked, inputs: [image, clen], target: tumor, weight: "
     "liver}\n"
     "                                                          ^~~~\n"
     "g.yaml:11:3: stage 'long' (t_cut) writes 'a_name_that_is_longer_than_any_field', which is no "
     "field: a name has 1 to 31 letters\n"
     "      long: {use: t_cut, from: cases, field: image, output: "
     "a_name_that_is_longer_than_any_field}\n"
     "      ^~~~\n"
     "g.yaml:13:54: stage 'save' (t_save) reads 'clean', which is not on the edge from 'shed' (it "
     "was last on the edge from 'masked'); it carries image, liver, tumor, truth, segments\n"
     "      save: {use: t_save, from: shed, fields: [segments, clean]}\n"
     "                                                         ^~~~~\n"},
    {"an error of declare points at the option",
     "stages:\n"
     "  cases: {use: t_load, dataset: x}\n"
     "  prepared: {use: t_prepare, from: cases, window: [5, 3]}\n"
     "  save: {use: t_save, from: prepared}\n",
     {NULL},
     "g.yaml:3:51: stage 'prepared' (t_prepare): 'window' must go up\n"
     "      prepared: {use: t_prepare, from: cases, window: [5, 3]}\n"
     "                                                      ^\n"},
    {"a cycle",
     "stages:\n"
     "  a: {use: t_prepare, from: c}\n"
     "  b: {use: t_prepare, from: a}\n"
     "  c: {use: t_prepare, from: b}\n"
     "  d: {use: t_prepare, from: d}\n"
     "  e: {use: t_save, from: c}\n",
     {NULL},
     "g.yaml:2:29: these stages wait for one another: 'a' -> 'b' -> 'c' -> 'a'\n"
     "      a: {use: t_prepare, from: c}\n"
     "                                ^\n"
     "g.yaml:5:29: these stages wait for one another: 'd' -> 'd'\n"
     "      d: {use: t_prepare, from: d}\n"
     "                                ^\n"},
    {"a cycle through a model",
     "stages:\n"
     "  cases: {use: t_load, dataset: x}\n"
     "  filled: {use: t_apply, from: cases, model: model}\n"
     "  model: {use: t_train, from: filled, inputs: image, target: liver}\n",
     {NULL},
     "g.yaml:3:32: these stages wait for one another: 'filled' -> 'model' -> 'filled'\n"
     "      filled: {use: t_apply, from: cases, model: model}\n"
     "                                   ^~~~~\n"},
    {"duplicates",
     "stages:\n"
     "  a: {use: t_load, dataset: x, split: all, split: train}\n"
     "  a: {use: t_load, dataset: y}\n",
     {NULL},
     "g.yaml:2:44: 'split' stands twice in this map, first on line 2\n"
     "      a: {use: t_load, dataset: x, split: all, split: train}\n"
     "                                               ^~~~~\n"
     "g.yaml:3:3: 'a' stands twice in this map, first on line 2\n"
     "      a: {use: t_load, dataset: y}\n"
     "      ^\n"},
    {"vars",
     "vars: {data: x, a: \"${b}\", b: \"${a}\", list: [1, 2]}\n"
     "stages:\n"
     "  cases: {use: t_load, dataset: ${dta}}\n"
     "  save: {use: t_save, from: cases, fields: \"x${list}\"}\n",
     {NULL},
     "g.yaml:1:21: var 'b' is made of itself\n"
     "    vars: {data: x, a: \"${b}\", b: \"${a}\", list: [1, 2]}\n"
     "                        ^~~~~\n"
     "g.yaml:3:33: unknown var 'dta'; did you mean 'data'?\n"
     "      cases: {use: t_load, dataset: ${dta}}\n"
     "                                    ^~~~~~\n"
     "g.yaml:4:46: var 'list' is a list and cannot stand inside a text\n"
     "      save: {use: t_save, from: cases, fields: \"x${list}\"}\n"
     "                                                 ^~~~~~~~\n"},
    {"engine keys",
     "seed: -1\n"
     "device: cpuu\n"
     "hold: 3 HU\n"
     "jobs: 0\n"
     "nn_threads: many\n"
     "stages:\n"
     "  cases: {use: t_load, dataset: x, depth: 0, replicas: 2}\n"
     "  shed: {use: t_shed, from: cases, replicas: 3}\n"
     "  prep: {use: t_prepare, from: cases, replicas: 0}\n"
     "  mask: {use: t_mask, from: cases, draws: once}\n"
     "  holes: {use: t_holes, from: mask, hold: 1 GB, draws: twice}\n"
     "  save: {use: t_save, from: holes, hold: 1 GB}\n",
     {NULL},
     "g.yaml:1:7: 'seed' must be a whole number from 0 on, not '-1'\n"
     "    seed: -1\n"
     "          ^~\n"
     "g.yaml:2:9: unknown device 'cpuu'; did you mean 'cpu'?\n"
     "    device: cpuu\n"
     "            ^~~~\n"
     "g.yaml:3:7: 'hold' takes a number of bytes such as 500 MB or 2 GB, not '3 HU'\n"
     "    hold: 3 HU\n"
     "          ^\n"
     "g.yaml:4:7: 'jobs' must be a whole number from 1 to 64, not '0'\n"
     "    jobs: 0\n"
     "          ^\n"
     "g.yaml:5:13: 'nn_threads' must be a whole number from 0 to 1024, not 'many'\n"
     "    nn_threads: many\n"
     "                ^~~~\n"
     "g.yaml:7:43: 'depth' must be a whole number from 1 to 1024, not '0'\n"
     "      cases: {use: t_load, dataset: x, depth: 0, replicas: 2}\n"
     "                                              ^\n"
     "g.yaml:7:56: stage 'cases' (t_load) never has more than one replica\n"
     "      cases: {use: t_load, dataset: x, depth: 0, replicas: 2}\n"
     "                                                           ^\n"
     "g.yaml:8:46: stage 'shed' (t_shed) never has more than one replica\n"
     "      shed: {use: t_shed, from: cases, replicas: 3}\n"
     "                                                 ^\n"
     "g.yaml:9:49: 'replicas' must be a whole number from 1 to 256, not '0'\n"
     "      prep: {use: t_prepare, from: cases, replicas: 0}\n"
     "                                                    ^\n"
     "g.yaml:10:43: stage 'mask' (t_mask) draws nothing at random for its samples\n"
     "      mask: {use: t_mask, from: cases, draws: once}\n"
     "                                              ^~~~\n"
     "g.yaml:11:43: 'hold' would freeze the random draws of stage 'holes': hold a stage before "
     "them\n"
     "      holes: {use: t_holes, from: mask, hold: 1 GB, draws: twice}\n"
     "                                              ^\n"
     "g.yaml:11:56: 'draws' takes once or anew, not 'twice'\n"
     "      holes: {use: t_holes, from: mask, hold: 1 GB, draws: twice}\n"
     "                                                           ^~~~~\n"
     "g.yaml:12:42: stage 'save' (t_save) has no samples to hold\n"
     "      save: {use: t_save, from: holes, hold: 1 GB}\n"
     "                                             ^\n"},
    {"cache",
     "stages:\n"
     "  cases: {use: t_load, dataset: x, cache: disk}\n"
     "  mask: {use: t_mask, from: cases, cache: store}\n"
     "  holes: {use: t_holes, from: mask, cache: store}\n"
     "  save: {use: t_save, from: holes, cache: store}\n",
     {NULL},
     "g.yaml:2:43: 'cache' takes store or no, not 'disk'\n"
     "      cases: {use: t_load, dataset: x, cache: disk}\n"
     "                                              ^~~~\n"
     "g.yaml:4:44: 'cache' would freeze the random draws of stage 'holes': cache a stage before "
     "them\n"
     "      holes: {use: t_holes, from: mask, cache: store}\n"
     "                                               ^~~~~\n"
     "g.yaml:5:43: stage 'save' (t_save) has no samples to cache\n"
     "      save: {use: t_save, from: holes, cache: store}\n"
     "                                              ^~~~~\n"},
    {"like",
     "stages:\n"
     "  a: {like: b}\n"
     "  b: {like: a}\n"
     "  c: {like: d, use: t_save}\n"
     "  d: {use: t_load, dataset: x}\n"
     "  e: {like: dd}\n"
     "  f: {like: g, from: d}\n"
     "  g: {use: t_prepare, from: d, smoth: 1}\n",
     {NULL},
     "g.yaml:3:13: stage 'b' is like itself in the end\n"
     "      b: {like: a}\n"
     "                ^\n"
     "g.yaml:4:3: stage 'c' (t_save) needs 'from': the stage whose samples it takes\n"
     "      c: {like: d, use: t_save}\n"
     "      ^\n"
     "g.yaml:6:13: the graph has no stage 'dd'; did you mean 'd'?\n"
     "      e: {like: dd}\n"
     "                ^~\n"
     "g.yaml:8:32: stage 'f' (t_prepare) has no option 'smoth'; did you mean 'smooth'?\n"
     "      g: {use: t_prepare, from: d, smoth: 1}\n"
     "                                   ^~~~~\n"
     "  through 'like: g' at g.yaml:7:13\n"},
    {"what an error leads to",
     "on_error: [skip, retry(1)]\n"
     "stages:\n"
     "  cases: {use: t_load, dataset: x, on_error: retry}\n"
     "  a: {use: t_prepare, from: cases, on_error: retry(0)}\n"
     "  b: {use: t_prepare, from: cases, on_error: [retry(1), retry(2)]}\n"
     "  c: {use: t_prepare, from: cases, on_error: [retry(1)]}\n"
     "  d: {use: t_prepare, from: cases, on_error: {retry: 1}}\n"
     "  e: {use: t_prepare, from: cases, on_error: retry(1) skip}\n"
     "  f: {use: t_save, from: a, on_error: skip}\n"
     "  g: {use: t_save, from: a, on_error: fail}\n"
     "  h: {use: t_prepare, from: cases, on_eror: skpi}\n",
     {NULL},
     "g.yaml:1:11: in a list for 'on_error' a retry(n) stands first, then skip or fail\n"
     "    on_error: [skip, retry(1)]\n"
     "              ^\n"
     "g.yaml:3:46: 'on_error' takes fail, skip, retry(n), or [retry(n), skip], n from 1 to 100, "
     "not 'retry'\n"
     "      cases: {use: t_load, dataset: x, on_error: retry}\n"
     "                                                 ^~~~~\n"
     "g.yaml:4:46: 'on_error' takes fail, skip, retry(n), or [retry(n), skip], n from 1 to 100, "
     "not 'retry(0)'\n"
     "      a: {use: t_prepare, from: cases, on_error: retry(0)}\n"
     "                                                 ^~~~~~~~\n"
     "g.yaml:5:46: in a list for 'on_error' a retry(n) stands first, then skip or fail\n"
     "      b: {use: t_prepare, from: cases, on_error: [retry(1), retry(2)]}\n"
     "                                                 ^\n"
     "g.yaml:6:46: 'on_error' takes a list of two, such as [retry(2), skip], not of 1\n"
     "      c: {use: t_prepare, from: cases, on_error: [retry(1)]}\n"
     "                                                 ^\n"
     "g.yaml:7:46: 'on_error' takes fail, skip, retry(n), or [retry(n), skip], n from 1 to 100, "
     "not a map\n"
     "      d: {use: t_prepare, from: cases, on_error: {retry: 1}}\n"
     "                                                 ^\n"
     "g.yaml:8:46: 'on_error' takes fail, skip, retry(n), or [retry(n), skip], n from 1 to 100, "
     "not 'retry(1) skip'\n"
     "      e: {use: t_prepare, from: cases, on_error: retry(1) skip}\n"
     "                                                 ^~~~~~~~\n"
     "g.yaml:9:39: stage 'f' (t_save) hands on no samples: what fails there is not one of them, "
     "and ends the run; set 'on_error' on the stages before it\n"
     "      f: {use: t_save, from: a, on_error: skip}\n"
     "                                          ^~~~\n"
     "g.yaml:11:36: stage 'h' (t_prepare) has no option 'on_eror'; did you mean 'on_error'?\n"
     "      h: {use: t_prepare, from: cases, on_eror: skpi}\n"
     "                                       ^~~~~~~\n"},
    {"where a value comes from",
     "vars: {low: -5000, unit: HU, both: [\"${low}\", 3]}\n"
     "x-cut: &cut\n"
     "  field: image\n"
     "  value: 7\n"
     "x-some: &some {<<: *cut, valu: 1}\n"
     "x-gate: &gate [liver, 5, scoer]\n"
     "stages:\n"
     "  cases: {use: t_load, dataset: x}\n"
     "  a: {use: t_cut, from: cases, <<: *cut}\n"
     "  b: {use: t_prepare, from: cases, window: \"${both}\"}\n"
     "  c: {use: t_cut, from: cases, <<: [*some, {min_volume: -1}]}\n"
     "  d: {use: t_prepare, from: cases, window: [\"${low} ${unit}\", 3]}\n"
     "  e: &e {use: t_cut, from: cases, field: image, gate: *gate, value: 2}\n"
     "  f: *e\n"
     "  g: {like: e, value: 0.5, gate: 5}\n"
     "  h: {like: g, from: cases}\n",
     {"vars.unit=mm", "a.value=0.5", "a.gate=${gt}", "vars.low=-4000", NULL},
     "g.yaml:1:37: 'window' of stage 'b' (t_prepare) must be -1024 to 3071 HU, not '-4000'\n"
     "    vars: {low: -5000, unit: HU, both: [\"${low}\", 3]}\n"
     "                                        ^~~~~~~~\n"
     "  with the value of ${low} from --set vars.low=-4000\n"
     "  through ${both} at g.yaml:10:45\n"
     "g.yaml:4:10: 'value' of stage 'c' (t_cut) must be 0 to 1, not '7'\n"
     "      value: 7\n"
     "             ^\n"
     "  through the merge key <<: *cut at g.yaml:5:20\n"
     "  through the merge key <<: *some at g.yaml:11:37\n"
     "g.yaml:5:26: stage 'c' (t_cut) has no option 'valu'; did you mean 'value'?\n"
     "    x-some: &some {<<: *cut, valu: 1}\n"
     "                             ^~~~\n"
     "  through the merge key <<: *some at g.yaml:11:37\n"
     "g.yaml:11:57: 'min_volume' of stage 'c' (t_cut) must be 0 to 1000000 mm3, not '-1'\n"
     "      c: {use: t_cut, from: cases, <<: [*some, {min_volume: -1}]}\n"
     "                                                            ^~\n"
     "  through the merge key << at g.yaml:11:44\n"
     "g.yaml:12:45: 'window' of stage 'd' (t_prepare) is in HU, not in 'mm'\n"
     "      d: {use: t_prepare, from: cases, window: [\"${low} ${unit}\", 3]}\n"
     "                                                ^~~~~~~~~~~~~~~~\n"
     "  with the value of ${low} from --set vars.low=-4000\n"
     "  with the value of ${unit} from --set vars.unit=mm\n"
     "g.yaml:13:69: 'value' of stage 'e' (t_cut) must be 0 to 1, not '2'\n"
     "      e: &e {use: t_cut, from: cases, field: image, gate: *gate, value: 2}\n"
     "                                                                        ^\n"
     "g.yaml:15:3: stage 'g' (t_cut) needs 'from': the stage whose samples it takes\n"
     "      g: {like: e, value: 0.5, gate: 5}\n"
     "      ^\n"
     "g.yaml:15:34: stage 'h' (t_cut) reads '5', which is not on the edge from 'cases'; it carries "
     "image, liver, tumor, truth, annotation\n"
     "      g: {like: e, value: 0.5, gate: 5}\n"
     "                                     ^\n"
     "  through 'like: g' at g.yaml:16:13\n"
     "--set:1:8: unknown var 'gt'\n"
     "    a.gate=${gt}\n"
     "           ^~~~~\n"},
    {"sets",
     "vars: {data: x}\n"
     "stages:\n"
     "  cases: {use: t_load, dataset: ${data}}\n"
     "  cut: {use: t_cut, from: cases, field: image}\n"
     "  save: {use: t_save, from: cut}\n",
     {"cuut.value=0.1", "cut.value=2", "cut.vlaue=0.1", "vars.dta=1", "nothing", "cut.value=[1",
      "seeed=1", "cut.gate=[liver, lver]", NULL},
     "--set:1:1: the graph has no stage 'cuut'; did you mean 'cut'?\n"
     "    cuut.value=0.1\n"
     "    ^~~~~~~~~~\n"
     "--set:1:11: 'value' of stage 'cut' (t_cut) must be 0 to 1, not '2'\n"
     "    cut.value=2\n"
     "              ^\n"
     "--set:1:5: stage 'cut' (t_cut) has no option 'vlaue'; did you mean 'value'?\n"
     "    cut.vlaue=0.1\n"
     "        ^~~~~\n"
     "--set:1:6: the graph has no var 'dta'; did you mean 'data'?\n"
     "    vars.dta=1\n"
     "         ^~~\n"
     "--set:1:1: expected stage.option=value, vars.name=value or key=value\n"
     "    nothing\n"
     "    ^~~~~~~\n"
     "--set:1:13: YAML: did not find expected ',' or ']' while parsing a flow sequence that begins "
     "on line 1\n"
     "    cut.value=[1\n"
     "                ^\n"
     "--set:1:1: a graph has no key 'seeed'; did you mean 'seed'?\n"
     "    seeed=1\n"
     "    ^~~~~\n"},
    {"networks and losses",
     "stages:\n"
     "  cases: {use: t_load, dataset: x}\n"
     "  a: {use: t_train, from: cases, inputs: image, target: liver, network: {t_net: {widht: "
     "8}}}\n"
     "  b: {use: t_train, from: cases, inputs: image, target: liver, network: {t_net: {width: "
     "0}}}\n"
     "  c: {use: t_train, from: cases, inputs: image, target: liver, network: [t_net]}\n"
     "  d: {use: t_train, from: cases, inputs: image, target: liver, loss: {l1: 1, bcee: 2}}\n"
     "  e: {use: t_train, from: cases, inputs: image, target: liver, loss: {l1: much}}\n"
     "  f: {use: t_train, from: cases, inputs: [image, image], target: liver}\n"
     "  g: {use: t_train, from: cases, inputs: [], target: liver}\n",
     {NULL},
     "g.yaml:3:82: network 't_net' has no option 'widht'; did you mean 'width'?\n"
     "      a: {use: t_train, from: cases, inputs: image, target: liver, network: {t_net: {widht: "
     "8}}}\n"
     "                                                                                     ^~~~~\n"
     "g.yaml:4:89: 'width' of network 't_net' must be 1 to 512, not '0'\n"
     "      b: {use: t_train, from: cases, inputs: image, target: liver, network: {t_net: {width: "
     "0}}}\n"
     "                                                                                            "
     "^\n"
     "g.yaml:5:73: 'network' of stage 'c' (t_train) must be one network: its name, or {name: "
     "{options}}\n"
     "      c: {use: t_train, from: cases, inputs: image, target: liver, network: [t_net]}\n"
     "                                                                            ^\n"
     "g.yaml:6:78: 'loss' of stage 'd' (t_train) must be one of l1, bce, dice, not 'bcee'; did you "
     "mean 'bce'?\n"
     "      d: {use: t_train, from: cases, inputs: image, target: liver, loss: {l1: 1, bcee: 2}}\n"
     "                                                                                 ^~~~\n"
     "g.yaml:7:75: 'loss' of stage 'e' (t_train) must be a number, not 'much'\n"
     "      e: {use: t_train, from: cases, inputs: image, target: liver, loss: {l1: much}}\n"
     "                                                                              ^~~~\n"
     "g.yaml:8:50: 'inputs' of stage 'f' (t_train) names 'image' twice\n"
     "      f: {use: t_train, from: cases, inputs: [image, image], target: liver}\n"
     "                                                     ^~~~~\n"
     "g.yaml:9:42: 'inputs' of stage 'g' (t_train) must have 1 to 4 items, not 0\n"
     "      g: {use: t_train, from: cases, inputs: [], target: liver}\n"
     "                                             ^\n"},
    {"faulty modules",
     "stages:\n"
     "  cases: {use: t_load, dataset: x}\n"
     "  liar: {use: t_liar, from: cases}\n"
     "  faulty: {use: t_faulty, from: cases}\n",
     {NULL},
     "g.yaml:3:3: the module of stage 'liar' (t_liar) is faulty: 'made' is made of 'nowhere', "
     "which it does not read\n"
     "      liar: {use: t_liar, from: cases}\n"
     "      ^~~~\n"
     "g.yaml:4:3: the module of stage 'faulty' (t_faulty) is faulty: default 'five': 'number' of "
     "stage 'faulty' (t_faulty) must be a number, not 'five'\n"
     "      faulty: {use: t_faulty, from: cases}\n"
     "      ^~~~~~\n"},
    {"nothing runs",
     "stages:\n"
     "  cases: {use: t_load, dataset: x}\n",
     {NULL},
     "g.yaml:1:1: nothing would run: the graph has no stage that takes samples in, such as train, "
     "evaluate or save\n"
     "    stages:\n"
     "    ^~~~~~\n"},
    {"a mix that fills in something else",
     "stages:\n"
     "  a: {use: t_load, dataset: x}\n"
     "  b: {use: t_load, dataset: x, tumors: no}\n"
     "  mix: {use: t_mix, from: [a, b], fill: {image: 0}}\n"
     "  save: {use: t_save, from: mix}\n"
     "  save2: {use: t_save, from: m, fields: tumor}\n"
     "  m: {use: t_mix, from: [a, b]}\n",
     {NULL},
     "g.yaml:4:3: stage 'mix' (t_mix) writes 'image' as u8 on the grid; on the edge from 'a' it is "
     "f32 on the grid\n"
     "      mix: {use: t_mix, from: [a, b], fill: {image: 0}}\n"
     "      ^~~\n"
     "g.yaml:4:3: stage 'mix' (t_mix) writes 'image' as u8 on the grid; on the edge from 'b' it is "
     "f32 on the grid\n"
     "      mix: {use: t_mix, from: [a, b], fill: {image: 0}}\n"
     "      ^~~\n"
     "g.yaml:6:41: stage 'save2' (t_save) reads 'tumor', which is not on the edge from 'm' (it was "
     "last on the edge from 'a'); it carries image, liver, truth, annotation\n"
     "      save2: {use: t_save, from: m, fields: tumor}\n"
     "                                            ^~~~~\n"},
    {"no stages",
     "name: empty\n",
     {NULL},
     "g.yaml:1:1: a graph needs 'stages': a map of names, each with what it is\n"
     "    name: empty\n"
     "    ^~~~\n"},
    {"an empty file",
     "",
     {NULL},
     "g.yaml:1:1: there is nothing in this file; a graph is a map with the key 'stages'\n"},
    {"no map",
     "- a\n"
     "- b\n",
     {NULL},
     "g.yaml:1:1: this is no map of keys and values; a graph is a map with the key 'stages'\n"
     "    - a\n"
     "    ^\n"},
    {"a flow map that does not end",
     "stages:\n"
     "  a: {use: t_load, dataset: x\n"
     "  b: 1\n",
     {NULL},
     "g.yaml:3:4: YAML: did not find expected ',' or '}' while parsing a flow mapping that begins "
     "on line 2\n"
     "      b: 1\n"
     "       ^\n"},
    {"a unit behind a list",
     "stages:\n"
     "  a: {use: t_load, dataset: x}\n"
     "  b:\n"
     "    use: t_prepare\n"
     "    window: [1, 2] HU\n",
     {NULL},
     "g.yaml:5:20: YAML: did not find expected key while parsing a block mapping that begins on "
     "line 4 (the unit of a list stands with its numbers: [1 mm, 2 mm])\n"
     "        window: [1, 2] HU\n"
     "                       ^~\n"},
    {"a tab",
     "stages:\n"
     "\ta: 1\n",
     {NULL},
     "g.yaml:2:1: YAML: found character that cannot start any token while scanning for the next "
     "token (a tab cannot indent; a value that begins with @ ` or % needs quotes)\n"
     "    \ta: 1\n"
     "    ^\n"},
    {"an unknown alias",
     "stages:\n"
     "  a: &first {use: t_load}\n"
     "  b: *frist\n",
     {NULL},
     "g.yaml:3:6: no anchor '&frist' stands before this alias; did you mean 'first'?\n"
     "      b: *frist\n"
     "         ^~~~~~\n"},
    {"a merge of no map",
     "stages:\n"
     "  a: {<<: 5, use: t_load}\n",
     {NULL},
     "g.yaml:2:11: '<<' merges a map or a list of maps, not '5'\n"
     "      a: {<<: 5, use: t_load}\n"
     "              ^\n"},
    {"two documents",
     "stages: {}\n"
     "---\n"
     "stages: {}\n",
     {NULL},
     "g.yaml:2:1: a second YAML document begins here; a graph is one\n"
     "    ---\n"
     "    ^~~\n"},
    {"a key that is a list",
     "stages:\n"
     "  ? [a]\n"
     "  : 1\n",
     {NULL},
     "g.yaml:2:5: a key must be a word, not a list\n"
     "      ? [a]\n"
     "        ^\n"},
    {"letters beyond ASCII keep the caret in place",
     "stages:\n"
     "  cases: {use: t_load, dataset: \"Bäuche\", splti: all}\n"
     "  s: {use: t_save, from: cases}\n",
     {NULL},
     "g.yaml:2:43: stage 'cases' (t_load) has no option 'splti'; did you mean 'split'?\n"
     "      cases: {use: t_load, dataset: \"Bäuche\", splti: all}\n"
     "                                              ^~~~~\n"},
    {"a bad stage name",
     "stages:\n"
     "  1st: {use: t_load, dataset: x}\n"
     "  s: {use: t_save, from: 1st}\n",
     {NULL},
     "g.yaml:2:3: a stage's name has letters, digits, _ and -, begins with a letter, and has at "
     "most 63 of them\n"
     "      1st: {use: t_load, dataset: x}\n"
     "      ^~~\n"},
};
