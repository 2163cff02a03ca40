/* momentum: an agent that trades one instrument on the cross of two moving averages, with take-profit and stop-loss.
 *
 * One SETUP arms a periodic timer. From then on the program runs by itself: the timer samples the price, the averages
 * decide, and each position is guarded by two watchers that the program arms when it buys and removes when it sells.
 *
 * All arithmetic is on integers; every division rounds down unless it says otherwise.
 *
 *     price   micro-dollars (10^-6 dollars) per share          10^3 .. 10^13, PRICE_MIN .. PRICE_MAX
 *     cash    micro-dollars                                    0 .. 10^15, CASH_MAX
 *     units   millionths of a share                            0 .. 10^18, which follows
 *
 * Strategy
 * --------
 * The state starts with units = 0, entry_price = 0, cash = start_cash, and an empty sequence of closes. "Long" means
 * units > 0, "flat" means units = 0.
 *
 * TICK, on every callback of the timer:
 *   1. close = the price account's close. Outside [PRICE_MIN, PRICE_MAX] the tick fails and changes nothing.
 *   2. Append close to the sequence. Let n be its length, F the sum of its last `fast` closes, S the sum of its last
 *      `slow`. The trend is the sign of F / fast - S / slow, computed without division as that of F * slow - S * fast.
 *   3. If n <= slow, there is no earlier trend to compare with: done.
 *   4. Long, and close is beyond one of the position's two thresholds: sell at close, reason 1 or 2; done. The watchers
 *      have sold before the tick unless their callback failed, and a crossing comes only once: a guard must not be lost
 *      because one price was bad.
 *   5. Let `before` be the trend at the previous tick, `now` the trend at this one.
 *        flat, before <= 0 and now > 0: buy at close.
 *        long, before >= 0 and now < 0: sell at close, reason 0.
 *   A tick takes one sample, however many ticks of the timer it stands for.
 *
 * Buy at price p:
 *   units = cash * 10^6 / p. If that is 0, there is no trade.
 *   cash -= units * p / 10^6, rounded up. entry_price = p.
 *   Arm two watchers on the price account's close: one above p * (10000 + take_profit_bps) / 10000, one below
 *   p * (10000 - stop_loss_bps) / 10000. A buy that cannot be guarded does not happen: the tick fails and changes
 *   nothing, so the next tick sees the same previous trend and can try again.
 *
 * Sell at price p, with a reason:
 *   cash += units * p / 10^6; a sale that would lift it above CASH_MAX fails and changes nothing.
 *   units = 0, entry_price = 0. Remove both watchers.
 *
 * TAKE_PROFIT and STOP_LOSS, on a callback of the watcher that the last buy armed: sell at the current close, reason 1
 * or 2; a close out of range fails as in a tick. Then only another cross buys again. In one slot they run before the
 * tick: watchers queue HIGH, timers NORMAL.
 *
 * Each trade is pushed to the ring buffer (struct Trade). The position is the truth and the ring a report of it: when a
 * push fails, because the reader is slow or the buffer is gone, the trade stands, since a stop-loss must not depend on
 * a reader. The state counts what was dropped and keeps the last code: trades == records pushed + records_dropped.
 *
 * Accounts
 * --------
 *   0  state, writable, owned by this program, at least sizeof(State) bytes, zero before SETUP
 *   1  price, six little-endian i64 words: date (yyyymmdd), open, high, low, close, volume (shares)
 * Callbacks get the accounts of SETUP, so they need no check beyond where the call came from.
 *
 * Instructions: the first byte of the instruction data
 * ----------------------------------------------------
 *   0 SETUP        then nine u64, little-endian: fast, slow, take_profit_bps, stop_loss_bps, cash, ring_id, start_slot,
 *                  period, budget. 1 <= fast < slow, fast <= 64, slow <= 256, 1 <= take_profit_bps <= 100000,
 *                  1 <= stop_loss_bps <= 9999, cash <= CASH_MAX. start_slot, period and budget are the timer's; the
 *                  budget is also the watchers'.
 *                  The ring must be one that this program may write to; ring_id is not checked here.
 *   1 TICK         callback of the timer
 *   2 TAKE_PROFIT  callback of the upper watcher
 *   3 STOP_LOSS    callback of the lower watcher
 *
 * Why nothing overflows: with prices <= 10^13 and at most 256 closes, sums are < 2.6 * 10^15 and their products with
 * the other window < 1.7 * 10^17; thresholds are computed from at most 10^13 * 110000 = 1.1 * 10^18. For units and
 * values see the functions. Prices, cash, units and sums stay below 2^63, so that they may be read as signed; the
 * largest intermediate stays below 10^19 + 10^6 < 2^64. */

#include <sol_async.h>
#include <solana.h>

enum { SETUP, TICK, TAKE_PROFIT, STOP_LOSS };

/* Custom errors. To the last three, add the SOL_ASYNC_* code of the call that failed. */
enum {
    ERROR_INSTRUCTION = 1,       /* unknown, or of the wrong length */
    ERROR_ACCOUNTS = 2,          /* fewer than two, or the same one twice */
    ERROR_STATE_ACCOUNT = 3,     /* read-only, not owned by this program, or too small */
    ERROR_PRICE_ACCOUNT = 4,     /* too small */
    ERROR_CONFIGURATION = 5,     /* a number of SETUP is out of range */
    ERROR_ALREADY_SET_UP = 6,
    ERROR_NOT_SET_UP = 7,
    ERROR_NOT_FROM_ENGINE = 8,   /* a callback instruction that the engine did not make */
    ERROR_WRONG_SOURCE = 9,      /* from the engine, but not from the timer or watcher in the state */
    ERROR_PRICE_RANGE = 10,      /* close outside [PRICE_MIN, PRICE_MAX] */
    ERROR_CASH_RANGE = 11,       /* a sale would lift cash above CASH_MAX */
    ERROR_TIMER_CREATE = 100,
    ERROR_WATCHER_CREATE = 200,
    ERROR_WATCHER_REMOVE = 300,
};

#define VERSION 1
#define FAST_MAX 64
#define SLOW_MAX 256
#define TAKE_PROFIT_BPS_MAX 100000 /* eleven times the entry price */
#define STOP_LOSS_BPS_MAX 9999
#define BPS 10000
#define SCALE 1000000
#define PRICE_MIN 1000                /* 0.001 dollars */
#define PRICE_MAX 10000000000000      /* ten million dollars */
#define CASH_MAX 1000000000000000     /* a billion dollars */
#define CLOSE_OFFSET 32
#define PRICE_SIZE 48

/* The state account. Every field is a little-endian 64-bit word; [n] is its index. */
typedef struct {
    uint64_t version;             /* [0] VERSION; 0 = not set up */

    /* Configuration, as given to SETUP. */
    uint64_t fast;                /* [1] closes in the fast average */
    uint64_t slow;                /* [2] closes in the slow average */
    uint64_t take_profit_bps;     /* [3] hundredths of a percent above the entry price */
    uint64_t stop_loss_bps;       /* [4] the same below it */
    uint64_t start_cash;          /* [5] */
    uint64_t ring_id;             /* [6] */
    uint64_t budget;              /* [7] compute units of each callback */

    /* What is armed; 0 = nothing. */
    uint64_t timer_id;            /* [8] */
    uint64_t take_profit_watcher; /* [9] */
    uint64_t stop_loss_watcher;   /* [10] */

    /* Position. */
    uint64_t cash;                /* [11] */
    uint64_t units;               /* [12] */
    uint64_t entry_price;         /* [13] 0 when flat */

    /* Counters. */
    uint64_t callbacks;           /* [14] callbacks that succeeded */
    uint64_t trades;              /* [15] */
    uint64_t records_dropped;     /* [16] trades that could not be pushed to the ring */
    uint64_t last_push_error;     /* [17] the code of the last of them */

    /* Averages. */
    uint64_t samples;             /* [18] closes seen: n */
    uint64_t fast_sum;            /* [19] F; while samples < fast, the sum of all */
    uint64_t slow_sum;            /* [20] S; while samples < slow, the sum of all */
    uint64_t closes[SLOW_MAX];    /* [21] circular: close number k, from 0, is at k % slow */
} State;

_Static_assert(sizeof(State) == 8 * (21 + SLOW_MAX), "every field is one word");

/* An entry of the ring buffer: six words. */
typedef struct {
    uint64_t slot;
    uint64_t side;       /* enum side */
    uint64_t reason;     /* enum reason */
    uint64_t price;
    uint64_t units;
    uint64_t cash_after;
} Trade;

enum side { BUY, SELL };
enum reason { CROSS, TOOK_PROFIT, STOPPED_LOSS };

/* One run of the program. */
typedef struct {
    State *state;
    const SolAccountInfo *price;
    SolAsyncContext context;
} Run;

static void report(const Run *run, enum side side, enum reason reason, uint64_t price, uint64_t units) {
    State *state = run->state;
    const Trade trade = {run->context.current_slot, side, reason, price, units, state->cash};
    state->trades += 1;
    uint64_t error = sol_ring_buffer_push(state->ring_id, &trade, sizeof(trade));
    if (error != SOL_ASYNC_SUCCESS) {
        state->records_dropped += 1;
        state->last_push_error = error;
        sol_log("a trade could not be pushed to the ring buffer");
    }
}

static uint64_t arm(const Run *run, uint64_t trigger_type, uint64_t threshold, uint8_t instruction, uint64_t *watcher) {
    *watcher = sol_watcher_create_threshold(run->price->key->x, trigger_type, CLOSE_OFFSET, (int64_t)threshold,
                                            &instruction, sizeof(instruction), run->state->budget);
    return *watcher != 0 ? SUCCESS : ERROR_WATCHER_CREATE + sol_async_last_error();
}

static uint64_t disarm(uint64_t *watcher) {
    uint64_t error = sol_watcher_remove(*watcher);
    *watcher = 0;
    /* A watcher that the host has removed already is no reason to stay in the market. */
    bool gone = error == SOL_ASYNC_SUCCESS || error == SOL_ASYNC_INVALID_WATCHER;
    return gone ? SUCCESS : ERROR_WATCHER_REMOVE + error;
}

/* Beyond these, the position is closed. */
static uint64_t take_profit_price(const State *state) {
    return state->entry_price * (BPS + state->take_profit_bps) / BPS;
}

static uint64_t stop_loss_price(const State *state) {
    return state->entry_price * (BPS - state->stop_loss_bps) / BPS;
}

static uint64_t buy(Run *run, uint64_t price) {
    State *state = run->state;
    /* cash * SCALE / price without the overflow: the first term is at most CASH_MAX / PRICE_MIN * SCALE = 10^18, the
       second's product below PRICE_MAX * SCALE = 10^19 < 2^64. */
    uint64_t units = state->cash / price * SCALE + state->cash % price * SCALE / price;
    if (units == 0) return SUCCESS;

    /* units * price <= cash * SCALE, so the cost is at most the cash, and no term overflows. */
    uint64_t cost = units / SCALE * price + (units % SCALE * price + SCALE - 1) / SCALE;
    state->cash -= cost;
    state->units = units;
    state->entry_price = price;

    uint64_t error = arm(run, SOL_ASYNC_TRIGGER_THRESHOLD_ABOVE, take_profit_price(state), TAKE_PROFIT,
                         &state->take_profit_watcher);
    if (error != SUCCESS) return error;
    error = arm(run, SOL_ASYNC_TRIGGER_THRESHOLD_BELOW, stop_loss_price(state), STOP_LOSS,
                &state->stop_loss_watcher);
    if (error != SUCCESS) return error;

    report(run, BUY, CROSS, price, units);
    return SUCCESS;
}

static uint64_t sell(Run *run, uint64_t price, enum reason reason) {
    State *state = run->state;
    uint64_t units = state->units;
    /* The first comparison keeps the proceeds at or below CASH_MAX + PRICE_MAX before they are computed. */
    if (units / SCALE > CASH_MAX / price) return ERROR_CASH_RANGE;
    uint64_t cash = state->cash + units / SCALE * price + units % SCALE * price / SCALE;
    if (cash > CASH_MAX) return ERROR_CASH_RANGE;
    state->cash = cash;
    state->units = 0;
    state->entry_price = 0;

    uint64_t error = disarm(&state->take_profit_watcher);
    if (error != SUCCESS) return error;
    error = disarm(&state->stop_loss_watcher);
    if (error != SUCCESS) return error;

    report(run, SELL, reason, price, units);
    return SUCCESS;
}

/* The sign of fast average - slow average. */
static int trend(const State *state) {
    uint64_t fast = state->fast_sum * state->slow, slow = state->slow_sum * state->fast;
    return (fast > slow) - (fast < slow);
}

static void sample(State *state, uint64_t close) {
    uint64_t *oldest = &state->closes[state->samples % state->slow];
    if (state->samples >= state->fast) {
        state->fast_sum -= state->closes[(state->samples - state->fast) % state->slow];
    }
    state->slow_sum -= *oldest; /* zero until the window is full */
    *oldest = close;
    state->fast_sum += close;
    state->slow_sum += close;
    state->samples += 1;
}

static uint64_t read_close(const Run *run, uint64_t *close) {
    *close = *(const uint64_t *)(run->price->data + CLOSE_OFFSET);
    return *close >= PRICE_MIN && *close <= PRICE_MAX ? SUCCESS : ERROR_PRICE_RANGE;
}

static uint64_t tick(Run *run) {
    State *state = run->state;
    uint64_t close;
    uint64_t error = read_close(run, &close);
    if (error != SUCCESS) return error;

    int before = trend(state);
    sample(state, close);
    if (state->samples <= state->slow) return SUCCESS;
    if (state->units > 0 && close > take_profit_price(state)) return sell(run, close, TOOK_PROFIT);
    if (state->units > 0 && close < stop_loss_price(state)) return sell(run, close, STOPPED_LOSS);
    int now = trend(state);

    if (state->units == 0 && before <= 0 && now > 0) return buy(run, close);
    if (state->units > 0 && before >= 0 && now < 0) return sell(run, close, CROSS);
    return SUCCESS;
}

static uint64_t guard(Run *run, enum reason reason) {
    uint64_t close;
    uint64_t error = read_close(run, &close);
    if (error != SUCCESS) return error;
    return sell(run, close, reason);
}

static uint64_t setup(State *state, const SolParameters *params) {
    if (state->version != 0) return ERROR_ALREADY_SET_UP;
    uint64_t words[9];
    if (params->data_len != 1 + sizeof(words)) return ERROR_INSTRUCTION;
    for (uint64_t i = 0; i < 9; i++) words[i] = sol_load_u64(params->data + 1 + 8 * i);
    uint64_t fast = words[0], slow = words[1], take_profit_bps = words[2], stop_loss_bps = words[3], cash = words[4];
    uint64_t ring_id = words[5], start_slot = words[6], period = words[7], budget = words[8];

    if (fast < 1 || fast >= slow || fast > FAST_MAX || slow > SLOW_MAX) return ERROR_CONFIGURATION;
    if (take_profit_bps < 1 || take_profit_bps > TAKE_PROFIT_BPS_MAX) return ERROR_CONFIGURATION;
    if (stop_loss_bps < 1 || stop_loss_bps > STOP_LOSS_BPS_MAX) return ERROR_CONFIGURATION;
    if (cash > CASH_MAX) return ERROR_CONFIGURATION;

    const uint8_t instruction = TICK;
    uint64_t timer = sol_timer_create_periodic(start_slot, period, &instruction, sizeof(instruction), budget);
    if (timer == 0) return ERROR_TIMER_CREATE + sol_async_last_error();

    sol_memset(state, 0, sizeof(*state));
    state->version = VERSION;
    state->fast = fast;
    state->slow = slow;
    state->take_profit_bps = take_profit_bps;
    state->stop_loss_bps = stop_loss_bps;
    state->start_cash = cash;
    state->ring_id = ring_id;
    state->budget = budget;
    state->timer_id = timer;
    state->cash = cash;
    return SUCCESS;
}

static uint64_t callback(Run *run, uint8_t instruction) {
    State *state = run->state;
    SolAsyncContext *context = &run->context;
    if (state->version != VERSION) return ERROR_NOT_SET_UP;
    if (sol_async_context(context, sizeof(*context)) == 0) return ERROR_NOT_FROM_ENGINE;

    uint64_t kind = instruction == TICK ? SOL_ASYNC_KIND_TIMER : SOL_ASYNC_KIND_WATCHER;
    uint64_t source = instruction == TICK          ? state->timer_id
                      : instruction == TAKE_PROFIT ? state->take_profit_watcher
                                                   : state->stop_loss_watcher;
    if (context->kind != kind || context->source_id != source) return ERROR_WRONG_SOURCE;

    state->callbacks += 1;
    switch (instruction) {
        case TICK:
            return tick(run);
        case TAKE_PROFIT:
            return guard(run, TOOK_PROFIT);
        default:
            return guard(run, STOPPED_LOSS);
    }
}

uint64_t entrypoint(const uint8_t *input) {
    SolAccountInfo accounts[2];
    SolParameters params = {.ka = accounts};
    sol_deserialize(input, &params, 2);
    if (params.ka_num < 2 || accounts[0].data == accounts[1].data) return ERROR_ACCOUNTS;

    const SolAccountInfo *account = &accounts[0];
    if (!account->is_writable || !SolPubkey_same(account->owner, params.program_id) ||
        account->data_len < sizeof(State)) {
        return ERROR_STATE_ACCOUNT;
    }
    if (accounts[1].data_len < PRICE_SIZE) return ERROR_PRICE_ACCOUNT;
    Run run = {.state = (State *)account->data, .price = &accounts[1]};

    if (params.data_len < 1) return ERROR_INSTRUCTION;
    uint8_t instruction = params.data[0];
    if (instruction == SETUP) return setup(run.state, &params);
    if (instruction > STOP_LOSS || params.data_len != 1) return ERROR_INSTRUCTION;
    return callback(&run, instruction);
}
