import { type AddressInfo, createServer } from "node:net";
import { firstValueFrom } from "rxjs";
import { expect, test } from "vitest";
import { systemClock, withDeadline } from "../../../hal/clock.ts";
import { openTcpLink } from "../../../hal/links/tcp.ts";

test("carries bytes both ways and notices without a write that the far end closed", async () => {
  const server = createServer((socket) => {
    socket.once("data", (bytes) => {
      socket.write(bytes);
      socket.once("data", () => socket.end());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const link = await openTcpLink({ host: "127.0.0.1", port }, systemClock);
  const echo = firstValueFrom(link.received$);
  await link.send(Uint8Array.of(0, 13, 255));
  expect([...(await echo)]).toEqual([0, 13, 255]);
  await link.send(Uint8Array.of(1));
  const reason = await withDeadline(systemClock, link.closed, 1_000);
  expect(reason).toMatchObject({ code: "link.disconnected" });
  server.close();
});

test("says that nothing listens", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  await expect(openTcpLink({ host: "127.0.0.1", port }, systemClock)).rejects.toMatchObject({
    code: "link.refused",
    message: `nothing listens at tcp:127.0.0.1:${port}: start it or check the port`,
  });
});
