// apps/longhaul/verbs.h — the verbs of the command; argv[0] is the verb's name, the result its exit code.
#pragma once

namespace longhaul::app {

int verb_audit_claim(int argc, char** argv);
int verb_bench(int argc, char** argv);
int verb_calibrate(int argc, char** argv);
int verb_cluster(int argc, char** argv);
int verb_config(int argc, char** argv);
int verb_data(int argc, char** argv);
int verb_debug(int argc, char** argv);
int verb_emit(int argc, char** argv);
int verb_eval(int argc, char** argv);
int verb_export(int argc, char** argv);
int verb_fit(int argc, char** argv);
int verb_generate(int argc, char** argv);
int verb_hf(int argc, char** argv);
int verb_plan(int argc, char** argv);
int verb_replay(int argc, char** argv);
int verb_report(int argc, char** argv);
int verb_scale(int argc, char** argv);
int verb_search(int argc, char** argv);
int verb_tokenizer(int argc, char** argv);
int verb_train(int argc, char** argv);
int verb_validate(int argc, char** argv);

}  // namespace longhaul::app
