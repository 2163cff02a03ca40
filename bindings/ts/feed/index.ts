/// <reference lib="esnext.disposable" preserve="true" />
/** Feeds an engine from a live cluster: messages of the RPC and of Yellowstone gRPC, in the order of slots, recorded and replayed. */

export { Feed, type FeedOptions, type FeedStats } from './feed.js';
export type { AccountMessage, BlockTimeMessage, Commitment, FeedMessage, SlotMessage, SlotStatus } from './messages.js';
export { readRecording } from './recording.js';
export { replay } from './replay.js';
export {
  fromAccountNotification,
  fromClockNotification,
  fromMultipleAccounts,
  fromProgramNotification,
  fromSlotNotification,
  type RpcAccount,
  type RpcProgramAccount,
  type RpcResponse,
  type RpcSlotNotification,
} from './rpc.js';
export { convert, type FeedSource, type RunOptions } from './sources.js';
export {
  fromYellowstone,
  type YellowstoneAccount,
  type YellowstoneAccountInfo,
  type YellowstoneBlock,
  type YellowstoneFullBlock,
  type YellowstoneSlot,
  type YellowstoneUpdate,
} from './yellowstone.js';
