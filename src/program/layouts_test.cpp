// Programs of more ranks than one: shapes, traffic, what the validators see.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "model/flops.h"
#include "program/build.h"
#include "program/holdings.h"
#include "units/error.h"

namespace longhaul::program {
namespace {

using model::ModelSpec;
using model::ParamTable;

ModelSpec tied_llama() {
  return model::with_usual_values(
      {.name = "llama", .layers = 8, .width = 64, .heads = 8, .kv_heads = 4, .ffn_width = 128, .vocab = 128, .tied_embeddings = true});
}
ModelSpec qwen() {
  ModelSpec spec = tied_llama();
  spec.name = "qwen";
  spec.head_dim = 16;
  spec.qk_norm = spec.qkv_bias = true;
  spec.tied_embeddings = false;
  return spec;
}
ModelSpec gpt() {
  ModelSpec spec = tied_llama();
  spec.name = "gpt";
  spec.norm = model::NormKind::layer_norm;
  spec.position = model::PositionKind::learned;
  spec.position_rows = 64;
  spec.mlp = model::MlpKind::gelu;
  spec.kv_heads = spec.heads;
  spec.norm_bias = spec.qkv_bias = spec.output_bias = spec.mlp_bias = true;
  return spec;
}
ModelSpec bloom() {
  ModelSpec spec = gpt();
  spec.name = "bloom";
  spec.embedding_norm = true;
  spec.position = model::PositionKind::alibi;
  spec.position_rows = 0;
  return spec;
}
ModelSpec neox() {
  ModelSpec spec = gpt();
  spec.name = "neox";
  spec.parallel_residual = true;
  spec.tied_embeddings = false;
  return spec;
}
ModelSpec mixture() {
  ModelSpec spec = tied_llama();
  spec.name = "mixture";
  spec.experts = {.count = 16, .top_k = 2, .width = 64, .shared = 1, .dense_layers = 1, .router_bias = true};
  return spec;
}
ModelSpec deepseek() {
  ModelSpec spec = mixture();
  spec.name = "deepseek";
  spec.kv_heads = spec.heads;
  spec.latent = {.q_rank = 32, .kv_rank = 16, .qk_dim = 8, .rope_dim = 8, .value_dim = 8};
  return spec;
}

BuildOptions options(std::string_view layout, int micro_batches = 8, int virtual_ranks = 1) {
  BuildOptions o;
  o.layout = parse_layout(layout);
  o.batch = {2, 16, micro_batches * o.layout.dp, virtual_ranks * o.layout.dp};
  o.block = 64;
  o.average = true;
  o.workspace = {Bytes(64), Bytes(640), Bytes(4096), Bytes(2048)};
  return o;
}
std::vector<Program> job(const ModelSpec& spec, const BuildOptions& o) { return build_pipeline(spec, ParamTable(spec), o); }

std::vector<std::string> ids(const Program& program) {
  std::vector<std::string> out;
  for (const Operation& op : program.operations) out.push_back(id(op));
  return out;
}
std::ptrdiff_t position(const Program& program, const std::string& wanted) {
  const std::vector<std::string> all = ids(program);
  const auto found = std::find(all.begin(), all.end(), wanted);
  EXPECT_NE(found, all.end()) << wanted;
  return found - all.begin();
}
const Operation& operation(const Program& program, const std::string& wanted) {
  return program.operations[static_cast<std::size_t>(position(program, wanted))];
}
/// Bytes that the rank sends, of collectives named `what`.
double sent(const Program& program, std::string_view what) {
  double bytes = 0;
  for (const Operation& op : program.operations)
    if (op.transfer.what == what) bytes += bytes_sent(op);
  return bytes;
}

constexpr std::string_view kLayouts[] = {"dp=1",
                                         "virtual=2",
                                         "dp=4,zero=1",
                                         "dp=4,zero=2",
                                         "dp=4,zero=3,recompute=layer",
                                         "dp=4,zero=2,shard=2",
                                         "dp=2,tp=2",
                                         "tp=8,sp=1",
                                         "dp=2,tp=4,sp=1,cp=2,zero=1",
                                         "pp=2,cp=2,recompute=layer",
                                         "pp=4,dp=2,zero=3",
                                         "pp=4,virtual=2,tp=2,sp=1,dp=2,zero=1",
                                         "pp=4,schedule=zb-h1,tp=2,sp=1,recompute=layer",
                                         "pp=4,schedule=zb-h2,dp=2,zero=2",
                                         "pp=3,schedule=gpipe,stages=4+4+0"};
constexpr std::string_view kExpertLayouts[] = {"dp=8,ep=4,cp=2,zero=1", "dp=4,tp=2,sp=1,ep=8,zero=2", "dp=4,tp=2,sp=1,ep=4,zero=3,shard=2",
                                               "pp=2,dp=4,ep=2,virtual=2"};

TEST(Layouts, EveryJobIsValid) {
  const auto expect_valid = [](const ModelSpec& spec, std::string_view layout) {
    struct Variant {
      ElementType operand;
      GradientScatter scatter;
      int virtual_ranks;
    };
    for (const auto& [operand, scatter, virtual_ranks] :
         {Variant{ElementType::bf16, GradientScatter::once, 2}, Variant{ElementType::f32, GradientScatter::every_micro_batch, 1}}) {
      BuildOptions o = options(layout, 8, virtual_ranks);
      if (o.layout.cp > 1) o.batch.virtual_ranks = o.layout.dp;
      o.operand = operand;
      o.scatter = scatter;
      const std::vector<Program> ranks = job(spec, o);
      const std::vector<std::string> complaints = validate(std::span<const Program>(ranks));
      ASSERT_TRUE(complaints.empty()) << spec.name << ' ' << layout << ": " << complaints.front();
      for (const Program& rank : ranks) {
        ASSERT_LE(rank.arena / rank.live_peak, 1.1) << spec.name << ' ' << layout;
        std::set<std::string> seen;  // an id says one operation of a micro-batch
        for (const Operation& op : rank.operations)
          ASSERT_TRUE(op.micro_batch < 0 || seen.insert(id(op)).second) << spec.name << ' ' << layout << ' ' << id(op);
      }
    }
  };
  for (const ModelSpec& spec : {tied_llama(), qwen(), gpt(), bloom(), neox(), mixture(), deepseek()})
    for (const std::string_view layout : kLayouts) expect_valid(spec, layout);
  for (const ModelSpec& spec : {mixture(), deepseek()})
    for (const std::string_view layout : kExpertLayouts) expect_valid(spec, layout);
}

// Ranks that host more leaves than others: the shorter ones hand over their weights until the longest has ended.
TEST(Layouts, EveryJobOfUnequalRanksIsValid) {
  for (const std::string_view layout :
       {"dp=3", "dp=3,zero=1", "dp=5,zero=2", "dp=3,zero=3", "dp=3,pp=2,zero=3", "dp=6,zero=3,shard=2", "dp=5,pp=2,zero=3,schedule=gpipe",
        "dp=3,pp=2,virtual=2,zero=3,recompute=layer", "dp=3,pp=2,zero=3,schedule=zb-h1", "dp=6,pp=2,zero=2,shard=3,stages=8+0"})
    for (const int virtual_ranks : {6, 8}) {
      BuildOptions o = options(layout);
      o.batch.virtual_ranks = virtual_ranks;
      o.batch.micro_batches = 2 * virtual_ranks;
      if (o.layout.chunks > 1) o.batch.micro_batches = 4 * virtual_ranks;
      for (const ModelSpec& spec : {tied_llama(), gpt()}) {
        const std::vector<Program> ranks = build_job(spec, ParamTable(spec), o);
        const std::vector<std::string> complaints = validate(std::span<const Program>(ranks));
        ASSERT_TRUE(complaints.empty()) << spec.name << ' ' << layout << ", V = " << virtual_ranks << ": " << complaints.front();
        int micro_batches = 0;
        for (const Program& rank : ranks)
          for (const Operation& op : rank.operations) micro_batches += op.kind == OpKind::head_loss ? 1 : 0;
        EXPECT_EQ(micro_batches, o.batch.micro_batches) << layout;
      }
    }
}

// Validation runs in the same arena: the states lie where the step has them.
TEST(Layouts, EveryEvaluationIsValidAndSharesTheStates) {
  for (const ModelSpec& spec : {tied_llama(), bloom(), deepseek()})
    for (const std::string_view layout : kLayouts) {
      const ParamTable table(spec);
      BuildOptions o = options(layout);
      const std::vector<Program> steps = job(spec, o);
      std::vector<Program> ranks;
      for (; o.place.pp < o.layout.pp; ++o.place.pp) ranks.push_back(build_evaluation(spec, table, o));
      const std::vector<std::string> complaints = validate(std::span<const Program>(ranks));
      ASSERT_TRUE(complaints.empty()) << spec.name << ' ' << layout << ": " << complaints.front();
      for (std::size_t rank = 0; rank < ranks.size(); ++rank)
        for (const Buffer& buffer : steps[rank].buffers)
          ASSERT_TRUE(!buffer.persistent || buffer.offset == ranks[rank].buffers[ranks[rank].find(buffer.name)].offset) << buffer.name;
    }
}

// The ranks' products are those of the model (accounting D1): what is divided adds up, nothing is done twice.
TEST(Layouts, WorkOfAllRanksIsTheModels) {
  const auto expect_all = [](const ModelSpec& spec, std::string_view layout) {
    BuildOptions o = options(layout);
    o.layout.recompute = Recompute::none;
    double flops = 0;
    for (const Program& rank : job(spec, o))
      for (const Operation& op : rank.operations) flops += op.flops.value;
    const double ranks = o.layout.dp * o.layout.tp * o.layout.cp;
    const double tokens = static_cast<double>(o.batch.tokens_per_micro_batch() * o.batch.micro_batches);
    const double expected = model::flops_per_token(spec, o.batch.sequence_length).value * tokens;
    EXPECT_NEAR(flops * ranks, expected, 1e-9 * expected) << spec.name << ' ' << layout;
  };
  for (const ModelSpec& spec : {tied_llama(), gpt(), bloom(), neox(), mixture(), deepseek()})
    for (const std::string_view layout : kLayouts) {
      const Layout l = parse_layout(layout);
      // Without sequence parallelism every tensor-parallel rank routes, and projects to latents, for itself; shared key/value heads too.
      const bool replicated = l.tp > 1 && (spec.experts.count > 0 || spec.has_latent_attention()) && !l.sequence_parallel;
      if (!replicated && l.tp <= spec.kv_heads) expect_all(spec, layout);
    }
  for (const ModelSpec& spec : {mixture(), deepseek()})
    for (const std::string_view layout : kExpertLayouts) expect_all(spec, layout);
}

// Every parameter has its place: over pipeline, tensor-parallel and expert ranks they add up, replicated ones counted once.
TEST(Holdings, AddUpToTheModel) {
  for (const ModelSpec& spec : {qwen(), gpt(), mixture(), deepseek()}) {
    const ParamTable table(spec);
    for (const std::string_view text :
         {"dp=1", "pp=4", "pp=2,virtual=2", "tp=4,sp=1", "pp=2,tp=2,sp=1", "dp=8,ep=4", "pp=3,stages=1+6+1"}) {
      const Layout layout = parse_layout(text);
      if (layout.ep > 1 && spec.experts.count == 0) continue;
      std::int64_t sum = 0;
      for (int rank = 0; rank < layout.pp; ++rank)
        for (const Bucket& bucket : Holdings(spec, table, layout, rank).buckets) {
          sum += bucket.experts ? bucket.weights * layout.ep : (bucket.weights - bucket.partial) * layout.tp + bucket.partial;
          if (bucket.part == "head" && spec.tied_embeddings && layout.pp > 1) sum -= bucket.weights * layout.tp;  // a copy
        }
      EXPECT_EQ(sum, table.total().value) << spec.name << ' ' << text;
    }
  }
}

TEST(Holdings, OfARankAloneAreTheParamTable) {
  for (ModelSpec spec : {tied_llama(), qwen(), gpt(), bloom()}) {
    spec.width = 72;  // gaps everywhere
    spec.vocab = 101;
    spec.ffn_width = 130;
    spec.head_dim = 9;
    const ParamTable table(spec);
    const Holdings all(spec, table, {}, 0);
    ASSERT_EQ(all.buckets.size(), 1u);
    EXPECT_EQ(all.buckets[0].weights, table.padded_count());
    EXPECT_EQ(all.buckets[0].gradients, gradient_elements(table));
    EXPECT_EQ(all.buckets[0].products, operand_layout(table, ElementType::bf16).elements);
  }
}

// Accounting C2: a 4096 × 16384 matrix is 4096 × 4096 on four ranks.
TEST(Layouts, TensorParallelShapes) {
  ModelSpec spec = tied_llama();
  spec.width = 4096;
  spec.heads = spec.kv_heads = 32;
  spec.head_dim = 128;
  spec.ffn_width = 16384;
  spec.layers = 1;
  const Program rank = build_step(spec, ParamTable(spec), options("tp=4"));
  const Operation& up = operation(rank, "mb0/s0/L0/mlp_up.fwd");
  EXPECT_EQ(up.flops.value, 2 * 2.0 * 32 * 4096 * 4096);  // gate and up on 32 tokens
  EXPECT_EQ(rank.buffers[up.at(Slot::y)].elements, 32 * 4096);
  EXPECT_EQ(rank.buffers[operation(rank, "mb0/s0/L0/attn.fwd").at(Slot::q)].elements, 32 * 8 * 128);
  EXPECT_EQ(operation(rank, "mb0/s0/head_loss.bwd").flops.value, 3 * 2.0 * 32 * 4096 * (128 / 4));
}

// Korthikanti et al. 2022 §4.2.2: the residual stream and the norms divide by tp, and a layer's sums move as many elements as before.
TEST(Layouts, SequenceParallelismDividesTheStream) {
  const ModelSpec spec = tied_llama();
  const Program whole = build_step(spec, ParamTable(spec), options("tp=4")),
                divided = build_step(spec, ParamTable(spec), options("tp=4,sp=1"));
  const auto elements = [](const Program& program, std::string_view name) { return program.buffers[program.find(name)].elements; };
  EXPECT_EQ(elements(divided, "mb0.L0.middle") * 4, elements(whole, "mb0.L0.middle"));
  EXPECT_EQ(elements(divided, "mb0.L0.attn_norm.y") * 4, elements(whole, "mb0.L0.attn_norm.y"));
  EXPECT_EQ(elements(divided, "mb0.L0.up"), elements(whole, "mb0.L0.up"));
  EXPECT_EQ(operation(divided, "mb0/s0/L0/mlp_down.reduce_scatter.fwd").transfer.bytes,
            operation(whole, "mb0/s0/L0/mlp_down.all_reduce.fwd").transfer.bytes);
  EXPECT_EQ(operation(divided, "mb0/s0/L0/mlp_norm.all_gather.fwd").transfer.bytes, Bytes(32 * 64 * 2));
}

TEST(Layouts, ContextParallelRanksExchangeKeysAndValues) {
  const ModelSpec spec = tied_llama();
  const Program rank = build_step(spec, ParamTable(spec), options("cp=2"));
  const Operation& keys = operation(rank, "mb0/s0/L0/k.all_gather.fwd");
  EXPECT_EQ(keys.transfer.bytes, Bytes(2 * 16 * 4 * 8 * 2));  // all tokens, 4 heads of 8, bf16
  EXPECT_EQ(keys.transfer.ranks, 2);
  EXPECT_EQ(operation(rank, "mb0/s0/L0/d_k.reduce_scatter.bwd").transfer.bytes, Bytes(2 * 16 * 4 * 8 * 4));
}

TEST(Layouts, DividedExpertsTakeTheirRowsByAllToAll) {
  const ModelSpec spec = mixture();
  const Program rank = build_step(spec, ParamTable(spec), options("dp=4,ep=4"));
  EXPECT_EQ(operation(rank, "mb0/s0/L1/dispatch.all_to_all.fwd").transfer.bytes, Bytes(32 * 2 * 64 * 2));  // tokens, top_k, width, bf16
  EXPECT_EQ(operation(rank, "mb0/s0/L1/combine.all_to_all.fwd").transfer.bytes, Bytes(32 * 2 * 64 * 4));
  // Four of sixteen experts here, and nobody else has them: their gradients stay.
  EXPECT_EQ(rank.buffers[rank.find("gradients.leaf0.L1.experts")].elements, 4 * 3 * 64 * 64);
  for (const std::string& operation_id : ids(rank)) EXPECT_EQ(operation_id.find("experts/weights"), std::string::npos) << operation_id;
}

TEST(Layouts, Zero3GathersALayerBeforeEachPassAndFreesItAfter) {
  const ModelSpec spec = qwen();
  const Program rank = build_step(spec, ParamTable(spec), options("dp=4,zero=3", 2));
  EXPECT_LT(position(rank, "mb0/s0/L3/weights.all_gather.fwd"), position(rank, "mb0/s0/L3/attn_norm.fwd"));
  EXPECT_LT(position(rank, "mb0/s0/L3/weights.all_gather.bwd"), position(rank, "mb0/s0/L3/mlp_down.bwd"));
  const Buffer& gathered = rank.buffers[rank.find("mb0.L3.weights")];
  EXPECT_EQ(gathered.last_op, position(rank, "mb0/s0/L3/mlp_down.fwd"));
  EXPECT_EQ(gathered.line, MemoryLine::gathered_weights);
  // Rajbhandari et al. 2020 §7.2: one and a half times the traffic of replicated states, in elements of each kind.
  const double scattered = 3.0 * 4 * static_cast<double>(ParamTable(spec).total().value);  // by all four ranks
  const auto sent_by_all = [&](std::string_view layout) {
    double bytes = 0;
    for (const Program& each : build_job(spec, ParamTable(spec), options(layout, 2))) bytes += sent(each, "gradients");
    return bytes;
  };
  EXPECT_EQ(sent_by_all("dp=4,zero=3"), scattered);
  EXPECT_EQ(sent_by_all("dp=4"), 2 * scattered);
}

TEST(Layouts, HybridShardsReduceInsideThenAcross) {
  const ModelSpec spec = qwen();
  const Program rank = build_step(spec, ParamTable(spec), options("dp=8,zero=2,shard=4"));
  const Operation &inside = operation(rank, "s0/L5/gradients.reduce_scatter"),
                  &across = operation(rank, "s0/L5/gradient_pieces.all_reduce");
  EXPECT_EQ(inside.transfer.ranks, 4);
  EXPECT_EQ(across.transfer.ranks, 2);
  EXPECT_NEAR(static_cast<double>(across.transfer.bytes.value) * 4, static_cast<double>(inside.transfer.bytes.value), 4 * 64 * 4)
      << "to a block";
}

// Buckets are reduced while the layers before still run backward; several leaves of a rank are combined first.
TEST(Layouts, ABucketIsReducedAsSoonAsItIsComplete) {
  const ModelSpec spec = qwen();
  const Program one = build_step(spec, ParamTable(spec), options("dp=2", 4, 1)),
                two = build_step(spec, ParamTable(spec), options("dp=2", 4, 2));
  const auto reduced = position(one, "s0/L7/gradients.all_reduce");
  EXPECT_LT(reduced, position(one, "mb3/s0/L6/mlp_down.bwd"));
  for (const Operation& op : one.operations) {  // it may go on beside them until the norm
    const bool waits = std::find(op.depends_on.begin(), op.depends_on.end(), static_cast<int>(reduced)) != op.depends_on.end();
    EXPECT_TRUE(!waits || op.phase != Phase::gradients) << id(op);
  }
  EXPECT_LT(position(two, "s0/L7/leaf_combine"), position(two, "s0/L7/gradients.all_reduce"));
  EXPECT_LT(position(two, "s0/L7/gradients.all_reduce"), position(two, "mb3/s0/L6/mlp_down.bwd"));
}

TEST(Layouts, ASplitBackwardKeepsWhatItsWeightGradientReads) {
  const ModelSpec spec = qwen();
  const std::vector<Program> ranks = job(spec, options("pp=4,schedule=zb-h1"));
  const Program& last = ranks[3];
  const Operation& weight = operation(last, "mb0/s3/L7/mlp_up.wgrad");
  EXPECT_GT(position(last, "mb0/s3/L7/mlp_up.wgrad"), position(last, "mb3/s3/L7/mlp_up.dgrad")) << "three weight gradients behind";
  for (const Slot slot : {Slot::x, Slot::operand})
    EXPECT_GE(last.buffers[weight.at(slot)].last_op, position(last, "mb0/s3/L7/mlp_up.wgrad"));
  EXPECT_EQ(weight.flops, operation(last, "mb0/s3/L7/mlp_up.dgrad").flops);
}

TEST(Layouts, TiedEmbeddingsAreAddedBetweenTheEndsOfThePipeline) {
  const std::vector<Program> ranks = job(tied_llama(), options("pp=3,stages=3+3+2,dp=2"));
  for (const int rank : {0, 2}) {
    const Operation& op = operation(ranks[static_cast<std::size_t>(rank)], fmt::format("s{}/tied_gradients.all_reduce", rank));
    EXPECT_EQ(op.transfer.bytes, Bytes(128 * 64 * 4));
  }
  for (const Operation& op : ranks[1].operations) EXPECT_NE(op.transfer.group, Group::embedding);
}

TEST(Layouts, WrongOnesAreRefusedWithEveryReason) {
  const auto reason = [](const ModelSpec& spec, BuildOptions o) -> std::string {
    try {
      build_step(spec, ParamTable(spec), o);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  const std::string both = reason(tied_llama(), options("tp=3,ep=2"));
  EXPECT_NE(both.find("tp = 3 does not divide heads = 8"), std::string::npos) << both;
  EXPECT_NE(both.find("the model has no experts"), std::string::npos) << both;
  BuildOptions few = options("dp=4", 2, 1);
  few.batch.virtual_ranks = 2;
  EXPECT_NE(reason(tied_llama(), few).find("dp = 4 ranks host batch.virtual_ranks = 2 leaves"), std::string::npos);
  EXPECT_NE(reason(tied_llama(), options("dp=1", 6, 4)).find("does not divide the 6 micro-batches"), std::string::npos);
  EXPECT_NE(reason(tied_llama(), options("cp=2", 6, 2)).find("cp > 1"), std::string::npos);
  EXPECT_NE(reason(mixture(), options("tp=2,dp=2,ep=2")).find("use sp=1"), std::string::npos);
}

// ---- the validator of jobs, on jobs broken on purpose ---------------------------------------------------------------------------

std::vector<Program> good_job() { return job(tied_llama(), options("pp=2,dp=2,tp=2")); }
Operation& find(Program& program, const std::string& wanted) {
  return program.operations[static_cast<std::size_t>(position(program, wanted))];
}
void expect_complaint(const std::vector<Program>& ranks, const std::string& wanted) {
  const std::vector<std::string> complaints = validate(std::span<const Program>(ranks));
  const bool said = std::any_of(complaints.begin(), complaints.end(),
                                [&](const std::string& complaint) { return complaint.find(wanted) != std::string::npos; });
  EXPECT_TRUE(said) << "wanted: " << wanted << "\nsaid: " << (complaints.empty() ? "nothing" : complaints.front());
}
/// An operation that does nothing, in the place of one.
void forget(Operation& op) {
  op.kind = OpKind::norm_forward;
  op.pass = Pass::step;
  op.transfer = {};
}

TEST(JobValidator, AMessageWithoutItsOtherEnd) {
  std::vector<Program> ranks = good_job();
  forget(find(ranks[0], "mb7/s0/send.fwd"));
  expect_complaint(ranks, "pipeline rank 1: mb7/s1/receive.fwd waits for a message that rank 0 does not send before");
  ranks = good_job();
  forget(find(ranks[0], "mb7/s0/receive.bwd"));
  expect_complaint(ranks, "pipeline rank 1: mb7/s1/send.bwd has no receive on rank 0");
}

TEST(JobValidator, MessagesOutOfOrderOrOfOtherSize) {
  std::vector<Program> ranks = good_job();
  std::swap(find(ranks[0], "mb0/s0/send.fwd").micro_batch, find(ranks[0], "mb1/s0/send.fwd").micro_batch);
  expect_complaint(ranks, "pipeline rank 1: mb0/s1/receive.fwd receives mb1/s0/send.fwd of rank 0: the two ranks' orders differ");
  ranks = good_job();
  find(ranks[1], "mb2/s1/send.bwd").transfer.bytes = Bytes(1);
  expect_complaint(ranks, "pipeline rank 0: mb2/s0/receive.bwd receives mb2/s1/send.bwd of rank 1: 1 bytes are sent, 8192 expected");
}

TEST(JobValidator, ADeadlock) {
  std::vector<Program> ranks = good_job();  // the first rank wants a gradient before it has sent what it is made from
  std::swap(find(ranks[0], "mb0/s0/send.fwd"), find(ranks[0], "mb0/s0/receive.bwd"));
  expect_complaint(ranks, "pipeline rank 0: mb0/s0/receive.bwd waits for a message that rank 1 does not send before");
  expect_complaint(ranks, "pipeline rank 1: mb0/s1/receive.fwd waits for a message that rank 0 does not send before");
}

TEST(JobValidator, CollectivesThatDoNotAgree) {
  std::vector<Program> ranks = good_job();
  find(ranks[1], "s1/norm_and_loss.all_gather").transfer.bytes = Bytes(16);
  expect_complaint(ranks, "group world: pipeline rank 0 comes to s0/norm_and_loss.all_gather");
  ranks = good_job();
  forget(find(ranks[1], "s1/tied_gradients.all_reduce"));
  expect_complaint(ranks, "group embedding: 1 of 2 pipeline ranks take part");
  ranks = good_job();
  find(ranks[1], "mb0/s1/L4/mlp_down.all_reduce.fwd").transfer.ranks = 4;
  expect_complaint(ranks, "has 4 ranks of group tensor");
  ranks = good_job();  // the ends' embedding and the norm of all, in different order
  std::swap(find(ranks[1], "s1/tied_gradients.all_reduce").transfer, find(ranks[1], "s1/norm_and_loss.all_gather").transfer);
  expect_complaint(ranks, "waits for ranks that do not come to it");
}

TEST(JobValidator, FaultsOfOneRankAreSaidOfThatRank) {
  std::vector<Program> ranks = good_job();
  std::swap(find(ranks[1], "mb0/s1/L5/qkv.bwd").micro_batch, find(ranks[1], "mb1/s1/L5/qkv.bwd").micro_batch);
  expect_complaint(ranks, "pipeline rank 1: mb0/s1/L5/qkv.bwd comes after micro-batch 1: weight gradients must rise");
  ranks = good_job();
  std::swap(ranks[0], ranks[1]);
  expect_complaint(ranks, "program 0 is that of pipeline rank 1");
}

}  // namespace
}  // namespace longhaul::program
