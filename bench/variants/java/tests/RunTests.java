import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;

/** Runs every {@code static void} method without arguments of the classes that are named, each a rule. */
public final class RunTests {
    private RunTests() {}

    public static void main(String[] classes) throws ReflectiveOperationException {
        int failed = 0;
        int count = 0;
        for (String name : classes) {
            for (Method rule : Class.forName(name).getDeclaredMethods()) {
                if (isRule(rule)) {
                    count++;
                    failed += holds(rule) ? 0 : 1;
                }
            }
        }
        System.out.println(count + " rules, " + failed + " of them do not hold");
        // No rule at all would be a mistake of whoever names the classes.
        System.exit(failed == 0 && count > 0 ? 0 : 1);
    }

    private static boolean isRule(Method method) {
        int modifiers = method.getModifiers();
        return Modifier.isStatic(modifiers)
                && !Modifier.isPrivate(modifiers)
                && !method.isSynthetic()
                && method.getParameterCount() == 0
                && method.getReturnType() == void.class;
    }

    private static boolean holds(Method rule) throws IllegalAccessException {
        try {
            rule.setAccessible(true);
            rule.invoke(null);
            return true;
        } catch (InvocationTargetException e) {
            System.out.println(rule.getDeclaringClass().getName() + "." + rule.getName() + ":");
            e.getCause().printStackTrace(System.out);
            return false;
        }
    }
}
