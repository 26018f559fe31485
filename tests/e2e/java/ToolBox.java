import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

/*
 * Runs the main method of Kafka's command line tools, unchanged, many times in one virtual machine: starting
 * one costs two seconds, a call in a warm one some milliseconds.
 *
 * Listens on the Unix socket named by the only argument. Each connection carries one request and one answer,
 * a line of JSON each:
 *   {"main": "org.apache.kafka.tools.GetOffsetShell", "args": [...], "stdin": "..."}
 *   {"exit": 0, "out": "...", "err": "..."}
 * Calls run one after another, since System.in and System.out belong to the tool that runs.
 */
public final class ToolBox {
    private static final class ExitCalled extends Error {
        ExitCalled(int code) {
            super("exit " + code, null, false, false);
        }
    }

    private final ObjectMapper json = new ObjectMapper();
    private final List<Runnable> hooks = new ArrayList<>();
    private final PrintStream realOut = System.out;
    private final PrintStream realErr = System.err;
    private final InputStream realIn = System.in;
    private Integer firstExit;

    public static void main(String[] args) throws Exception {
        new ToolBox().serve(args[0]);
    }

    private void serve(String path) throws Exception {
        Exit.setExitProcedure((code, message) -> { throw exitCalled(code, message); });
        Exit.setHaltProcedure((code, message) -> { throw exitCalled(code, message); });
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(path));
            while (true)
                serveOne(server.accept());
        }
    }

    // Some tools catch what exit throws here and exit again with another code: the first one is the tool's.
    private ExitCalled exitCalled(int code, String message) {
        if (message != null)
            System.err.println(message);
        if (firstExit == null)
            firstExit = code;
        return new ExitCalled(code);
    }

    private void serveOne(SocketChannel connection) {
        try (connection) {
            BufferedReader in = new BufferedReader(
                new InputStreamReader(Channels.newInputStream(connection), StandardCharsets.UTF_8));
            String line = in.readLine();
            if (line == null)
                return;
            ObjectNode answer = run(json.readTree(line));
            OutputStream out = Channels.newOutputStream(connection);
            out.write((json.writeValueAsString(answer) + "\n").getBytes(StandardCharsets.UTF_8));
            out.flush();
        } catch (Exception e) {
            e.printStackTrace(realErr);
        }
    }

    private ObjectNode run(JsonNode request) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        System.setIn(new ByteArrayInputStream(request.path("stdin").asText().getBytes(StandardCharsets.UTF_8)));
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        firstExit = null;
        int code;
        try {
            code = call(request);
            hooks.forEach(Runnable::run);
        } finally {
            hooks.clear();
            System.out.flush();
            System.err.flush();
            System.setIn(realIn);
            System.setOut(realOut);
            System.setErr(realErr);
        }
        return json.createObjectNode()
            .put("exit", firstExit != null ? firstExit : code)
            .put("out", out.toString(StandardCharsets.UTF_8))
            .put("err", err.toString(StandardCharsets.UTF_8));
    }

    private int call(JsonNode request) {
        List<String> args = new ArrayList<>();
        request.path("args").forEach(arg -> args.add(arg.asText()));
        try {
            Class.forName(request.path("main").asText())
                .getMethod("main", String[].class)
                .invoke(null, (Object) args.toArray(new String[0]));
            return 0;
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof ExitCalled)
                return 0;
            e.getCause().printStackTrace();
            return 1;
        } catch (ReflectiveOperationException e) {
            e.printStackTrace();
            return 1;
        }
    }
}
