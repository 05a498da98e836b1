import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.EpollEventLoopGroup;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.handler.codec.http.HttpResponseDecoder;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.LastHttpContent;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.concurrent.TimeUnit;

/** Posts over connections that stay open, one request at a time on each; repeats one that was not taken. */
final class Posts implements AutoCloseable {
    private record Post(String id, byte[] body, Runnable done) {}

    private static final long PAUSE_MS = 1000;
    private final EpollEventLoopGroup group = new EpollEventLoopGroup(1);
    private final EventLoop loop = group.next();
    private final URI url;
    private final byte[] head;
    private final Webhook webhook = new Webhook();
    // Of the loop's thread alone.
    private final ArrayDeque<Post> waiting = new ArrayDeque<>();
    private final ArrayDeque<Connection> free = new ArrayDeque<>();

    Posts(String address, int connections) {
        url = URI.create(address);
        head = ascii("POST " + url.getRawPath() + " HTTP/1.1\r\nhost: " + url.getAuthority()
                + "\r\ncontent-type: application/json\r\nwebhook-id: ");
        for (int number = 0; number < connections; number++) {
            connect();
        }
    }

    /** Sends a body, signed; done runs in the client's thread once it was answered by 2xx. */
    void post(String id, byte[] body, Runnable done) {
        Post post = new Post("msg_" + id, body, done);
        loop.execute(() -> {
            waiting.add(post);
            next();
        });
    }

    @Override
    public void close() {
        group.shutdownGracefully(0, 1, TimeUnit.SECONDS);
    }

    private void connect() {
        new Bootstrap()
                .group(group)
                .channel(EpollSocketChannel.class)
                .option(ChannelOption.TCP_NODELAY, true)
                .handler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        channel.pipeline().addLast(new HttpResponseDecoder(), new Connection());
                    }
                })
                .connect(url.getHost(), url.getPort())
                .addListener(made -> {
                    if (!made.isSuccess()) {
                        loop.schedule(this::connect, PAUSE_MS, TimeUnit.MILLISECONDS);
                    }
                });
    }

    private void next() {
        while (!waiting.isEmpty() && !free.isEmpty()) {
            free.poll().send(waiting.poll());
        }
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private final class Connection extends SimpleChannelInboundHandler<HttpObject> {
        private ChannelHandlerContext context;
        private Post sent;
        private boolean taken;

        @Override
        public void channelActive(ChannelHandlerContext opened) {
            context = opened;
            free.add(this);
            next();
        }

        void send(Post post) {
            sent = post;
            String stamp = Long.toString(System.currentTimeMillis() / 1000);
            ByteBuf out = context.alloc().ioBuffer(512);
            out.writeBytes(head);
            out.writeCharSequence(post.id, StandardCharsets.ISO_8859_1);
            out.writeCharSequence("\r\nwebhook-timestamp: " + stamp + "\r\nwebhook-signature: "
                    + webhook.signature(post.id, stamp, post.body) + "\r\ncontent-length: "
                    + post.body.length + "\r\n\r\n", StandardCharsets.ISO_8859_1);
            out.writeBytes(post.body);
            // Past the encoder: it is already as it goes over the wire. The decoder only sees answers.
            context.writeAndFlush(out);
        }

        @Override
        protected void channelRead0(ChannelHandlerContext from, HttpObject part) {
            if (part instanceof HttpResponse answer) {
                taken = answer.status().code() / 100 == 2;
            }
            if (part instanceof LastHttpContent) {
                Post post = sent;
                sent = null;
                if (taken) {
                    post.done.run();
                } else {
                    again(post);
                }
                free.add(this);
                next();
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext closed) {
            free.remove(this);
            if (sent != null) {
                again(sent);
            }
            loop.schedule(Posts.this::connect, PAUSE_MS, TimeUnit.MILLISECONDS);
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext from, Throwable problem) {
            from.close();
        }

        private void again(Post post) {
            loop.schedule(() -> {
                waiting.add(post);
                next();
            }, PAUSE_MS, TimeUnit.MILLISECONDS);
        }
    }
}
